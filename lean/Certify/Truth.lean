import Certify.Arithmetic

/-! Truth values that were computed, and what they say. -/

namespace Certify

/-- What follows from nothing. -/
theorem never {p : Prop} (h : false = true) : p := nomatch h

/-- A truth value is true or false. -/
theorem settled : ∀ c : Bool, c = true ∨ c = false
  | true => Or.inl rfl
  | false => Or.inr rfl

theorem both_first : ∀ a b : Bool, and a b = true → a = true
  | true, _, _ => rfl
  | false, _, h => never h

theorem both_second : ∀ a b : Bool, and a b = true → b = true
  | true, _, h => h
  | false, _, h => never h

/-- Whether two truth values are equal. -/
def sameBool (a b : Bool) : Bool := cond a b (not b)

theorem sameBool_known : ∀ a b : Bool, sameBool a b = true → a = b
  | true, true, _ => rfl
  | false, false, _ => rfl
  | true, false, h => never h
  | false, true, h => never h

/-- The first of two that hold. -/
theorem first_of {a b : Bool} (h : and a b = true) : a = true := both_first a b h

/-- The second of two that hold. -/
theorem second_of {a b : Bool} (h : and a b = true) : b = true := both_second a b h

/-- Two that hold. -/
theorem both {a b : Bool} (h : a = true) (k : b = true) : and a b = true :=
  Eq.trans (congrArg (fun c => and c b) h) k

theorem either_or : ∀ a b : Bool, or a b = true → a = true ∨ b = true
  | true, _, _ => Or.inl rfl
  | false, _, h => Or.inr h

/-- One of two that holds. -/
theorem one {a b : Bool} (h : or a b = true) : a = true ∨ b = true := either_or a b h

/-- One of two holds if the first does. -/
theorem one_first {a b : Bool} (h : a = true) : or a b = true := congrArg (fun c => or c b) h

theorem or_true : ∀ a : Bool, or a true = true
  | true => rfl
  | false => rfl

/-- One of two holds if the second does. -/
theorem one_second {a b : Bool} (h : b = true) : or a b = true := Eq.trans (congrArg (or a) h) (or_true a)

theorem and_false : ∀ a : Bool, and a false = false
  | true => rfl
  | false => rfl

/-- Two of which the first fails do not both hold. -/
theorem fails_first {a b : Bool} (h : a = false) : and a b = false := congrArg (fun c => and c b) h

/-- Two of which the second fails do not both hold. -/
theorem fails_second {a b : Bool} (h : b = false) : and a b = false := Eq.trans (congrArg (and a) h) (and_false a)

/-- What does not hold is false. -/
theorem refuted {a : Bool} (h : a = true → False) : a = false :=
  Or.elim (settled a) (fun yes => False.elim (h yes)) (fun no => no)

theorem not_false : ∀ a : Bool, not a = true → a = false
  | true, h => never h
  | false, _ => rfl

/-- What is denied is false. -/
theorem denied {a : Bool} (h : not a = true) : a = false := not_false a h

/-- Nothing is both true and false. -/
theorem clash {p : Prop} {a : Bool} (h : a = true) (k : a = false) : p := never (Eq.trans (Eq.symm k) h)

/-- A choice whose condition holds is its first part. -/
theorem taken {α : Type} {c : Bool} (x y : α) (h : c = true) : cond c x y = x := congrArg (fun c => cond c x y) h

/-- A choice whose condition fails is its second part. -/
theorem skipped {α : Type} {c : Bool} (x y : α) (h : c = false) : cond c x y = y := congrArg (fun c => cond c x y) h

/-- What holds for both truth values, each under its condition, holds. -/
theorem by_value (Q : Bool → Prop) : ∀ c : Bool, (c = true → Q true) → (c = false → Q false) → Q c
  | true, h, _ => h rfl
  | false, _, h => h rfl

theorem choice_holds {α : Type} (P : α → Prop) (x y : α) :
    ∀ c : Bool, (c = true → P x) → (c = false → P y) → P (cond c x y)
  | true, h, _ => h rfl
  | false, _, h => h rfl

/-- What holds of both parts of a choice, each under its condition, holds of the choice. -/
theorem chosen {α : Type} {x y : α} (P : α → Prop) (c : Bool) (h : c = true → P x) (k : c = false → P y) :
    P (cond c x y) :=
  choice_holds P x y c h k

end Certify
