namespace Test
universe u v
structure Monad' (M : Type u → Type v) where
  pure : {α : Type u} → α → M α
  bind : {α β : Type u} → M α → (α → M β) → M β
  pure_bind : ∀ {α β : Type u} (a : α) (f : α → M β), bind (pure a) f = f a
  bind_pure : ∀ {α : Type u} (m : M α), bind m pure = m

def Opt.bind {α β : Type u} : Option α → (α → Option β) → Option β
  | none, _ => none
  | some a, f => f a

theorem Opt.bind_pure {α : Type u} : ∀ m : Option α, Opt.bind m some = m
  | none => rfl
  | some _ => rfl

def optionMonad : Monad' Option.{u} :=
  ⟨some, Opt.bind, fun a f => rfl, Opt.bind_pure⟩

inductive Step : Nat → Nat → Prop where
  | inc (n : Nat) : Step n (n + 1)
  | dec (n : Nat) : Step (n + 1) n

inductive Reach : Nat → Prop where
  | start : Reach 0
  | next {n m : Nat} (h : Reach n) (s : Step n m) : Reach m

theorem reach_pos : ∀ {n : Nat}, Reach n → 0 ≤ n
  | Reach.start => Nat.le.refl
  | Reach.next _ _ => Nat.zero_le _

theorem succ_ne : ∀ n : Nat, n + 1 ≠ n
  | 0 => fun h => nomatch h
  | n + 1 => fun h => succ_ne n (congrArg Nat.pred h)

theorem step_ne {n m : Nat} (s : Step n m) : n ≠ m :=
  match s with
  | Step.inc n => fun h => succ_ne n (Eq.symm h)
  | Step.dec n => fun h => succ_ne n h

theorem no_step_zero (s : Step 0 0) : False :=
  nomatch s

theorem add_comm_zero : ∀ n : Nat, 0 + n = n
  | 0 => rfl
  | n + 1 => congrArg Nat.succ (add_comm_zero n)

theorem calc_test {a b c : Nat} (h₁ : a = b) (h₂ : b = c) : a = c :=
  calc
    a = b := h₁
    _ = c := h₂

inductive Tree where
  | node (children : List Tree) : Tree

def Tree.isLeaf : Tree → Bool
  | Tree.node [] => true
  | Tree.node (_ :: _) => false

theorem ex_test : ∃ x : Nat, x = 2 := ⟨2, rfl⟩
theorem big : 123456 * 654321 = 80779853376 := rfl
theorem le_test : 2 ≤ 4 := Nat.le.step (Nat.le.step Nat.le.refl)
theorem inj {a b : Nat} (h : Nat.succ a = Nat.succ b) : a = b :=
  match h with
  | rfl => rfl
theorem obtain_test {p q : Prop} (h : p ∧ q) : q :=
  let ⟨_, hq⟩ := h
  hq
theorem have_test {p q : Prop} (h : p ∧ q) : q ∧ p :=
  have hp : p := h.left
  have hq := h.right
  ⟨hq, hp⟩
def len {α : Type} : List α → Nat := fun
  | [] => 0
  | _ :: _ => 1
end Test

namespace Compute

inductive Shape where
  | dot : Shape
  | box (width height : Nat) : Shape
  | both (left right : Shape) : Shape

def area : Shape → Nat
  | Shape.dot => 0
  | Shape.box w h => w * h
  | Shape.both l r => area l + area r

def zip {α β : Type} : List α → List β → List (α × β)
  | x :: xs, y :: ys => (x, y) :: zip xs ys
  | _, _ => []

def third : Nat → Nat
  | 0 => 10
  | 1 => 20
  | 2 => 30
  | n + 3 => n

def grid : Nat → Nat → Nat
  | 0, 0 => 1
  | 0, _ + 1 => 2
  | n + 1, 0 => n
  | n + 1, m + 1 => n + m

example : area (Shape.both (Shape.box 2 3) (Shape.both Shape.dot (Shape.box 4 5))) = 26 := rfl
example : zip [1, 2, 3] [true, false] = [(1, true), (2, false)] := rfl
example : third 0 = 10 := rfl
example : third 2 = 30 := rfl
example : third 45 = 42 := rfl
example : (grid 0 0, grid 0 9, grid 9 0, grid 5 7) = (1, 2, 8, 10) := rfl
example : (fun (p : Nat × Nat) => p.1 - p.2) (3, 5) = 0 := rfl
example : ([1] ++ [2]).length = 2 := rfl

end Compute
