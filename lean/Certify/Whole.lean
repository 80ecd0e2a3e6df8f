import Certify.Truth

/-!
Whole numbers as specifications use them: computed by counting, on the constructors of `Int` alone, so that nothing here
depends on how a release defines its arithmetic.
-/

namespace Certify

/-- The number above. -/
def up : Int → Int
  | Int.ofNat n => Int.ofNat (n + 1)
  | Int.negSucc 0 => Int.ofNat 0
  | Int.negSucc (n + 1) => Int.negSucc n

/-- The number below. -/
def down : Int → Int
  | Int.ofNat 0 => Int.negSucc 0
  | Int.ofNat (n + 1) => Int.ofNat n
  | Int.negSucc n => Int.negSucc (n + 1)

/-- So many numbers above. -/
def raise (a : Int) : Nat → Int
  | 0 => a
  | n + 1 => up (raise a n)

/-- So many numbers below. -/
def lower (a : Int) : Nat → Int
  | 0 => a
  | n + 1 => down (lower a n)

/-- The sum. -/
def plus (a : Int) : Int → Int
  | Int.ofNat n => raise a n
  | Int.negSucc n => lower a (n + 1)

/-- The difference. -/
def minus (a : Int) : Int → Int
  | Int.ofNat n => lower a n
  | Int.negSucc n => raise a (n + 1)

/-- A number added up so many times. -/
def added (a : Int) : Nat → Int
  | 0 => Int.ofNat 0
  | n + 1 => plus (added a n) a

/-- The product. -/
def times (a : Int) : Int → Int
  | Int.ofNat n => added a n
  | Int.negSucc n => minus (Int.ofNat 0) (added a (n + 1))

/-- How often one more than `d` goes into the first number, where `left` more are missing for the next time. -/
def goesInto (d : Nat) : Nat → Nat → Nat
  | 0, _ => 0
  | n + 1, 0 => goesInto d n d + 1
  | n + 1, left + 1 => goesInto d n left

/-- The floor of the quotient; by zero it is zero. -/
def divide : Int → Int → Int
  | Int.ofNat m, Int.ofNat (n + 1) => Int.ofNat (goesInto n m n)
  | Int.negSucc m, Int.ofNat (n + 1) => Int.negSucc (goesInto n m n)
  | Int.ofNat (m + 1), Int.negSucc n => Int.negSucc (goesInto n m n)
  | Int.ofNat 0, Int.negSucc _ => Int.ofNat 0
  | Int.negSucc m, Int.negSucc n => Int.ofNat (goesInto n (m + 1) n)
  | _, Int.ofNat 0 => Int.ofNat 0

/-- What the floor of the quotient leaves. -/
def remainder (a b : Int) : Int := minus a (times b (divide a b))

/-- Whether the first number is at most the second. -/
def atMost : Int → Int → Bool
  | Int.ofNat m, Int.ofNat n => Nat.ble m n
  | Int.ofNat _, Int.negSucc _ => false
  | Int.negSucc _, Int.ofNat _ => true
  | Int.negSucc m, Int.negSucc n => Nat.ble n m

/-- Whether the first number is less than the second: the number above it is at most the second. -/
def below (a b : Int) : Bool := atMost (up a) b

/-- Whether two numbers are equal. -/
def sameInt : Int → Int → Bool
  | Int.ofNat m, Int.ofNat n => Nat.beq m n
  | Int.negSucc m, Int.negSucc n => Nat.beq m n
  | _, _ => false

/-- The smaller of two numbers. -/
def smaller (a b : Int) : Int := cond (atMost a b) a b

/-- The greater of two numbers. -/
def greater (a b : Int) : Int := cond (atMost a b) b a

/-- The number below the number above is the number. -/
theorem down_up : ∀ a : Int, down (up a) = a
  | Int.ofNat _ => rfl
  | Int.negSucc 0 => rfl
  | Int.negSucc (_ + 1) => rfl

/-- The number above the number below is the number. -/
theorem up_down : ∀ a : Int, up (down a) = a
  | Int.ofNat 0 => rfl
  | Int.ofNat (_ + 1) => rfl
  | Int.negSucc _ => rfl

theorem raise_up (a : Int) : ∀ n : Nat, raise (up a) n = up (raise a n)
  | 0 => rfl
  | n + 1 => congrArg up (raise_up a n)

theorem lower_up (a : Int) : ∀ n : Nat, lower (up a) n = up (lower a n)
  | 0 => rfl
  | n + 1 => Eq.trans (congrArg down (lower_up a n)) (Eq.trans (down_up (lower a n)) (Eq.symm (up_down (lower a n))))

theorem lower_down (a : Int) : ∀ n : Nat, lower (down a) n = down (lower a n)
  | 0 => rfl
  | n + 1 => congrArg down (lower_down a n)

theorem raise_down (a : Int) : ∀ n : Nat, raise (down a) n = down (raise a n)
  | 0 => rfl
  | n + 1 => Eq.trans (congrArg up (raise_down a n)) (Eq.trans (up_down (raise a n)) (Eq.symm (down_up (raise a n))))

theorem sum_up (a : Int) : ∀ b : Int, plus (up a) b = up (plus a b)
  | Int.ofNat n => raise_up a n
  | Int.negSucc n => lower_up a (n + 1)

theorem sum_down (a : Int) : ∀ b : Int, plus (down a) b = down (plus a b)
  | Int.ofNat n => raise_down a n
  | Int.negSucc n => lower_down a (n + 1)

theorem sum_raised (a : Int) : ∀ b : Int, plus a (up b) = up (plus a b)
  | Int.ofNat _ => rfl
  | Int.negSucc 0 => Eq.symm (up_down a)
  | Int.negSucc (n + 1) => Eq.symm (up_down (lower a (n + 1)))

theorem sum_lowered (a : Int) : ∀ b : Int, plus a (down b) = down (plus a b)
  | Int.ofNat 0 => rfl
  | Int.ofNat (n + 1) => Eq.symm (down_up (raise a n))
  | Int.negSucc _ => rfl

/-- One unit may be moved from the right of a sum to its left. -/
theorem sum_back (a b : Int) : plus (up a) (down b) = plus a b :=
  Eq.trans (sum_up a (down b)) (Eq.trans (congrArg up (sum_lowered a b)) (up_down (plus a b)))

/-- One unit may be moved from the left of a sum to its right. -/
theorem sum_moved (a b : Int) : plus (down a) (up b) = plus a b :=
  Eq.trans (sum_down a (up b)) (Eq.trans (congrArg down (sum_raised a b)) (down_up (plus a b)))

theorem ble_refl : ∀ n : Nat, Nat.ble n n = true
  | 0 => rfl
  | n + 1 => ble_refl n

theorem zero_ble : ∀ n : Nat, Nat.ble 0 n = true
  | 0 => rfl
  | _ + 1 => rfl

theorem ble_step : ∀ m n : Nat, Nat.ble m n = true → Nat.ble m (n + 1) = true
  | 0, _, _ => rfl
  | m + 1, n + 1, h => ble_step m n h
  | _ + 1, 0, h => never h

theorem ble_trans : ∀ a b c : Nat, Nat.ble a b = true → Nat.ble b c = true → Nat.ble a c = true
  | 0, _, c, _, _ => zero_ble c
  | a + 1, b + 1, c + 1, h, k => ble_trans a b c h k
  | _ + 1, _ + 1, 0, _, k => never k
  | _ + 1, 0, _, h, _ => never h

theorem ble_not : ∀ m n : Nat, Nat.ble (m + 1) n = not (Nat.ble n m)
  | m, 0 => Eq.symm (congrArg not (zero_ble m))
  | 0, 1 => rfl
  | 0, _ + 2 => rfl
  | m + 1, n + 1 => ble_not m n

theorem beq_known : ∀ m n : Nat, Nat.beq m n = true → m = n
  | 0, 0, _ => rfl
  | m + 1, n + 1, h => congrArg Nat.succ (beq_known m n h)
  | 0, _ + 1, h => never h
  | _ + 1, 0, h => never h

theorem beq_refl : ∀ n : Nat, Nat.beq n n = true
  | 0 => rfl
  | n + 1 => beq_refl n

/-- Every number is at most itself. -/
theorem atMost_refl : ∀ a : Int, atMost a a = true
  | Int.ofNat n => ble_refl n
  | Int.negSucc n => ble_refl n

theorem order_trans : ∀ a b c : Int, atMost a b = true → atMost b c = true → atMost a c = true
  | Int.ofNat a, Int.ofNat b, Int.ofNat c, h, k => ble_trans a b c h k
  | Int.negSucc a, Int.negSucc b, Int.negSucc c, h, k => ble_trans c b a k h
  | Int.negSucc _, _, Int.ofNat _, _, _ => rfl
  | Int.ofNat _, Int.negSucc _, _, h, _ => never h
  | Int.ofNat _, Int.ofNat _, Int.negSucc _, _, k => never k
  | Int.negSucc _, Int.ofNat _, Int.negSucc _, _, k => never k

/-- The order of numbers is transitive. -/
theorem atMost_trans {a b c : Int} (h : atMost a b = true) (k : atMost b c = true) : atMost a c = true :=
  order_trans a b c h k

/-- A number is at most the one above it. -/
theorem atMost_up : ∀ a : Int, atMost a (up a) = true
  | Int.ofNat n => ble_step n n (ble_refl n)
  | Int.negSucc 0 => rfl
  | Int.negSucc (n + 1) => ble_step n n (ble_refl n)

/-- The number below a number is at most it. -/
theorem atMost_down (a : Int) : atMost (down a) a = true :=
  Eq.subst (motive := fun b => atMost (down a) b = true) (up_down a) (atMost_up (down a))

theorem atMost_raise (a : Int) : ∀ n : Nat, atMost a (raise a n) = true
  | 0 => atMost_refl a
  | n + 1 => atMost_trans (atMost_raise a n) (atMost_up (raise a n))

/-- A sum is at least its left part when its right part is not negative. -/
theorem sum_grows (a : Int) : ∀ b : Int, atMost (Int.ofNat 0) b = true → atMost a (plus a b) = true
  | Int.ofNat n, _ => atMost_raise a n
  | Int.negSucc _, h => never h

/-- What is less is at most. -/
theorem atMost_of_below {a b : Int} (h : below a b = true) : atMost a b = true := atMost_trans (atMost_up a) h

/-- A number is less than another exactly if the other is not at most it. -/
theorem below_not : ∀ a b : Int, below a b = not (atMost b a)
  | Int.ofNat m, Int.ofNat n => ble_not m n
  | Int.ofNat _, Int.negSucc _ => rfl
  | Int.negSucc 0, Int.ofNat 0 => rfl
  | Int.negSucc 0, Int.ofNat (_ + 1) => rfl
  | Int.negSucc (_ + 1), Int.ofNat _ => rfl
  | Int.negSucc 0, Int.negSucc 0 => rfl
  | Int.negSucc 0, Int.negSucc (_ + 1) => rfl
  | Int.negSucc (m + 1), Int.negSucc 0 => zero_ble m
  | Int.negSucc (m + 1), Int.negSucc (n + 1) => ble_not n m

/-- Numbers found equal are equal. -/
theorem sameInt_known : ∀ a b : Int, sameInt a b = true → a = b
  | Int.ofNat m, Int.ofNat n, h => congrArg Int.ofNat (beq_known m n h)
  | Int.negSucc m, Int.negSucc n, h => congrArg Int.negSucc (beq_known m n h)
  | Int.ofNat _, Int.negSucc _, h => never h
  | Int.negSucc _, Int.ofNat _, h => never h

/-- A number is found equal to itself. -/
theorem sameInt_refl : ∀ a : Int, sameInt a a = true
  | Int.ofNat n => beq_refl n
  | Int.negSucc n => beq_refl n

/-- No number is less than itself. -/
theorem below_irrefl (a : Int) (h : below a a = true) : False :=
  never (Eq.trans (Eq.symm (Eq.trans (below_not a a) (congrArg not (atMost_refl a)))) h)

/-- Numbers that are not equal are found different. -/
theorem sameInt_differs {a b : Int} (h : a = b → False) : sameInt a b = false :=
  refuted (fun yes => h (sameInt_known a b yes))

/-- What is at most a number is not the number above it. -/
theorem past_differs {a b : Int} (h : atMost a b = true) : sameInt a (up b) = false :=
  sameInt_differs (fun same =>
    below_irrefl b (Eq.subst (motive := fun x => atMost x b = true) same h))

end Certify
