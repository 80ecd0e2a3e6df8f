/-
The part of Lean's core library that source files may use: names and statements as there, definitions and proofs our own.
-/
universe u v w

def id {α : Sort u} (a : α) : α := a

def Function.comp {α : Sort u} {β : Sort v} {δ : Sort w} (f : β → δ) (g : α → β) : α → δ := fun x => f (g x)

inductive PUnit : Sort u where
  | unit : PUnit

abbrev Unit : Type := PUnit.{1}

abbrev Unit.unit : Unit := PUnit.unit

inductive True : Prop where
  | intro : True

inductive False : Prop

inductive Empty : Type

def Not (a : Prop) : Prop := a → False

theorem trivial : True := True.intro

def False.elim {C : Sort u} (h : False) : C := False.rec (fun _ => C) h

def absurd {a : Prop} {b : Sort v} (h₁ : a) (h₂ : ¬ a) : b := False.elim (h₂ h₁)

-- equality --
universe u v w

def rfl {α : Sort u} {a : α} : a = a := Eq.refl a

abbrev Ne {α : Sort u} (a b : α) : Prop := ¬ (a = b)

theorem Eq.subst {α : Sort u} {motive : α → Prop} {a b : α} (h₁ : a = b) (h₂ : motive a) : motive b :=
  Eq.rec (motive := fun x _ => motive x) h₂ h₁

theorem Eq.symm {α : Sort u} {a b : α} (h : a = b) : b = a :=
  Eq.rec (motive := fun x _ => x = a) rfl h

theorem Eq.trans {α : Sort u} {a b c : α} (h₁ : a = b) (h₂ : b = c) : a = c :=
  Eq.rec (motive := fun x _ => a = x) h₁ h₂

theorem congrArg {α : Sort u} {β : Sort v} {a₁ a₂ : α} (f : α → β) (h : a₁ = a₂) : f a₁ = f a₂ :=
  Eq.rec (motive := fun x _ => f a₁ = f x) rfl h

theorem congrFun {α : Sort u} {β : α → Sort v} {f g : (x : α) → β x} (h : f = g) (a : α) : f a = g a :=
  Eq.rec (motive := fun k _ => f a = k a) rfl h

theorem congr {α : Sort u} {β : Sort v} {f₁ f₂ : α → β} {a₁ a₂ : α} (h₁ : f₁ = f₂) (h₂ : a₁ = a₂) :
    f₁ a₁ = f₂ a₂ :=
  Eq.trans (congrFun h₁ a₁) (congrArg f₂ h₂)

def cast {α β : Sort u} (h : α = β) (a : α) : β := Eq.rec (motive := fun x _ => x) a h

def Eq.mp {α β : Sort u} (h : α = β) (a : α) : β := cast h a

def Eq.mpr {α β : Sort u} (h : α = β) (b : β) : α := cast (Eq.symm h) b

theorem Ne.symm {α : Sort u} {a b : α} (h : a ≠ b) : b ≠ a := fun e => h (Eq.symm e)

structure And (a b : Prop) : Prop where
  intro ::
  left : a
  right : b

inductive Or (a b : Prop) : Prop where
  | inl (h : a) : Or a b
  | inr (h : b) : Or a b

theorem Or.elim {a b c : Prop} (h : a ∨ b) (left : a → c) (right : b → c) : c :=
  Or.rec (motive := fun _ => c) left right h

theorem And.symm {a b : Prop} (h : a ∧ b) : b ∧ a := ⟨h.right, h.left⟩

theorem Or.symm {a b : Prop} (h : a ∨ b) : b ∨ a := Or.elim h Or.inr Or.inl

structure Iff (a b : Prop) : Prop where
  intro ::
  mp : a → b
  mpr : b → a

theorem Iff.refl (a : Prop) : a ↔ a := ⟨fun h => h, fun h => h⟩

theorem Iff.rfl {a : Prop} : a ↔ a := Iff.refl a

theorem Iff.symm {a b : Prop} (h : a ↔ b) : b ↔ a := ⟨h.mpr, h.mp⟩

theorem Iff.trans {a b c : Prop} (h₁ : a ↔ b) (h₂ : b ↔ c) : a ↔ c :=
  ⟨fun ha => h₂.mp (h₁.mp ha), fun hc => h₁.mpr (h₂.mpr hc)⟩

inductive Exists {α : Sort u} (p : α → Prop) : Prop where
  | intro (w : α) (h : p w) : Exists p

theorem Exists.elim {α : Sort u} {p : α → Prop} {b : Prop} (h₁ : Exists p) (h₂ : ∀ a, p a → b) : b :=
  Exists.rec (motive := fun _ => b) h₂ h₁

inductive Nonempty (α : Sort u) : Prop where
  | intro (val : α) : Nonempty α

structure Prod (α : Type u) (β : Type v) : Type (max u v) where
  fst : α
  snd : β

structure PProd (α : Sort u) (β : Sort v) : Sort (max 1 u v) where
  fst : α
  snd : β

structure Sigma {α : Type u} (β : α → Type v) : Type (max u v) where
  fst : α
  snd : β fst

structure Subtype {α : Sort u} (p : α → Prop) : Sort (max 1 u) where
  val : α
  property : p val

inductive Sum (α : Type u) (β : Type v) : Type (max u v) where
  | inl (val : α) : Sum α β
  | inr (val : β) : Sum α β

inductive Bool : Type where
  | false : Bool
  | true : Bool


def and : Bool → Bool → Bool
  | Bool.true, b => b
  | Bool.false, _ => Bool.false

def or : Bool → Bool → Bool
  | Bool.true, _ => Bool.true
  | Bool.false, b => b

def not : Bool → Bool
  | Bool.true => Bool.false
  | Bool.false => Bool.true

def cond {α : Sort u} (c : Bool) (x y : α) : α :=
  match c with
  | Bool.true => x
  | Bool.false => y

inductive Option (α : Type u) : Type u where
  | none : Option α
  | some (val : α) : Option α

inductive Except (ε : Type u) (α : Type v) : Type (max u v) where
  | error (e : ε) : Except ε α
  | ok (a : α) : Except ε α

inductive Nat : Type where
  | zero : Nat
  | succ (n : Nat) : Nat

inductive Int : Type where
  | ofNat (n : Nat) : Int
  | negSucc (n : Nat) : Int

inductive List (α : Type u) : Type u where
  | nil : List α
  | cons (head : α) (tail : List α) : List α

def Nat.pred : Nat → Nat
  | Nat.zero => Nat.zero
  | Nat.succ n => n

def Nat.add : Nat → Nat → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.succ (Nat.add n m)

def Nat.sub : Nat → Nat → Nat
  | n, Nat.zero => n
  | n, Nat.succ m => Nat.pred (Nat.sub n m)

def Nat.mul : Nat → Nat → Nat
  | _, Nat.zero => Nat.zero
  | n, Nat.succ m => Nat.add (Nat.mul n m) n

def Nat.pow : Nat → Nat → Nat
  | _, Nat.zero => Nat.succ Nat.zero
  | n, Nat.succ m => Nat.mul (Nat.pow n m) n

def Nat.beq : Nat → Nat → Bool
  | Nat.zero, Nat.zero => Bool.true
  | Nat.zero, Nat.succ _ => Bool.false
  | Nat.succ _, Nat.zero => Bool.false
  | Nat.succ n, Nat.succ m => Nat.beq n m

def Nat.ble : Nat → Nat → Bool
  | Nat.zero, Nat.zero => Bool.true
  | Nat.zero, Nat.succ _ => Bool.true
  | Nat.succ _, Nat.zero => Bool.false
  | Nat.succ n, Nat.succ m => Nat.ble n m

inductive Nat.le (n : Nat) : Nat → Prop where
  | refl : Nat.le n n
  | step {m : Nat} (h : Nat.le n m) : Nat.le n (Nat.succ m)

def Nat.lt (n m : Nat) : Prop := Nat.le (Nat.succ n) m

theorem Nat.le_refl (n : Nat) : n ≤ n := Nat.le.refl

theorem Nat.le_succ (n : Nat) : n ≤ Nat.succ n := Nat.le.step Nat.le.refl

theorem Nat.le_trans {n m k : Nat} (h₁ : n ≤ m) (h₂ : m ≤ k) : n ≤ k :=
  Nat.le.rec (motive := fun j _ => n ≤ j) h₁ (fun _ ih => Nat.le.step ih) h₂

theorem Nat.succ_le_succ {n m : Nat} (h : n ≤ m) : Nat.succ n ≤ Nat.succ m :=
  Nat.le.rec (motive := fun j _ => Nat.succ n ≤ Nat.succ j) Nat.le.refl (fun _ ih => Nat.le.step ih) h

theorem Nat.zero_le : ∀ n : Nat, 0 ≤ n
  | Nat.zero => Nat.le.refl
  | Nat.succ n => Nat.le.step (Nat.zero_le n)

def List.append {α : Type u} : List α → List α → List α
  | List.nil, ys => ys
  | List.cons x xs, ys => List.cons x (List.append xs ys)

def List.map {α : Type u} {β : Type v} (f : α → β) : List α → List β
  | List.nil => List.nil
  | List.cons x xs => List.cons (f x) (List.map f xs)

def List.length {α : Type u} : List α → Nat
  | List.nil => 0
  | List.cons _ xs => Nat.succ (List.length xs)

-- quotient --
axiom propext {a b : Prop} : (a ↔ b) → a = b

axiom Quot.sound.{u} : ∀ {α : Sort u} {r : α → α → Prop} {a b : α}, r a b → Quot.mk r a = Quot.mk r b

axiom Classical.choice.{u} {α : Sort u} : Nonempty α → α

theorem funext.{u, v} {α : Sort u} {β : α → Sort v} {f g : (x : α) → β x} (h : ∀ x, f x = g x) : f = g :=
  let related := fun (f g : (x : α) → β x) => ∀ x, f x = g x
  let at_point := fun (q : Quot related) (x : α) => Quot.lift (fun (f : (x : α) → β x) => f x) (fun _ _ k => k x) q
  show at_point (Quot.mk related f) = at_point (Quot.mk related g) from congrArg at_point (Quot.sound h)
