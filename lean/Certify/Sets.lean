import Certify.Whole

/-! Things of which only equality is known, maps and finite sets of them, as specifications use them. -/

namespace Certify

/-- A test of equality that is one. -/
structure Alike (α : Type) where
  same : α → α → Bool
  refl : ∀ a : α, same a a = true
  known : ∀ a b : α, same a b = true → a = b

/-- A map changed at one key. -/
def put {α β : Type} (same : α → α → Bool) (m : α → β) (key : α) (value : β) : α → β :=
  fun x => cond (same x key) value (m x)

/-- A finite set: what is in it, and how many that are. -/
structure Group (α : Type) where
  has : α → Bool
  size : Int

/-- The empty set. -/
def none_of {α : Type} : Group α := ⟨fun _ => false, Int.ofNat 0⟩

/-- The set with an element more; unchanged if it was in. -/
def insert {α : Type} (same : α → α → Bool) (g : Group α) (x : α) : Group α :=
  cond (g.has x) g ⟨put same g.has x true, up g.size⟩

/-- The set without an element; unchanged if it was not in. -/
def remove {α : Type} (same : α → α → Bool) (g : Group α) (x : α) : Group α :=
  cond (g.has x) ⟨put same g.has x false, down g.size⟩ g

/-- A map changed at a key has the new value there. -/
theorem put_here {α β : Type} (k : Alike α) (m : α → β) (x : α) (v : β) : put k.same m x v x = v :=
  taken v (m x) (k.refl x)

/-- A map changed at a key has the old values elsewhere. -/
theorem put_elsewhere {α β : Type} (k : Alike α) (m : α → β) (x y : α) (v : β) (other : k.same y x = false) :
    put k.same m x v y = m y :=
  skipped v (m y) other

/-- What holds of the new value at the key and of the old ones elsewhere holds of the changed map. -/
theorem put_holds {α β : Type} (k : Alike α) (P : α → β → Prop) (m : α → β) (x : α) (v : β) (here : P x v)
    (elsewhere : ∀ y : α, k.same y x = false → P y (m y)) (y : α) : P y (put k.same m x v y) :=
  by_value (fun c => P y (cond c v (m y))) (k.same y x)
    (fun h => Eq.subst (motive := fun z => P z v) (Eq.symm (k.known y x h)) here)
    (fun h => elsewhere y h)

/-- The same for two maps that are changed at one key. -/
theorem put_both {α β γ : Type} (k : Alike α) (P : α → β → γ → Prop) (m : α → β) (n : α → γ) (x : α) (v : β) (w : γ)
    (here : P x v w) (elsewhere : ∀ y : α, k.same y x = false → P y (m y) (n y)) (y : α) :
    P y (put k.same m x v y) (put k.same n x w y) :=
  by_value (fun c => P y (cond c v (m y)) (cond c w (n y))) (k.same y x)
    (fun h => Eq.subst (motive := fun z => P z v w) (Eq.symm (k.known y x h)) here)
    (fun h => elsewhere y h)

/-- A new element is in the set, which has one more. -/
theorem insert_new {α : Type} (same : α → α → Bool) (g : Group α) (x : α) (new : g.has x = false) :
    insert same g x = ⟨put same g.has x true, up g.size⟩ :=
  skipped g ⟨put same g.has x true, up g.size⟩ new

/-- An element that goes leaves a set that has one less. -/
theorem remove_old {α : Type} (same : α → α → Bool) (g : Group α) (x : α) (old : g.has x = true) :
    remove same g x = ⟨put same g.has x false, down g.size⟩ :=
  taken ⟨put same g.has x false, down g.size⟩ g old

end Certify
