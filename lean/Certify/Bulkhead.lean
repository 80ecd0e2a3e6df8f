import Certify.Arithmetic

/-! Bulkhead: partitions with places of their own, over traces of any length. -/

namespace Certify

/-- The places of a partition: free and used. -/
structure Places where
  free : Nat
  used : Nat

/-- What a caller does to a partition. -/
inductive Use where
  | enter : Use
  | leave : Use

/-- Entering takes a free place if there is one, leaving gives a used one back. -/
def move : Use → Places → Places
  | Use.enter, ⟨0, used⟩ => ⟨0, used⟩
  | Use.enter, ⟨free + 1, used⟩ => ⟨free, used + 1⟩
  | Use.leave, ⟨free, 0⟩ => ⟨free, 0⟩
  | Use.leave, ⟨free, used + 1⟩ => ⟨free + 1, used⟩

/-- A partition's places add up to its capacity. -/
def total (p : Places) : Nat := p.free + p.used

/-- No use makes or loses a place. -/
theorem move_conserves : ∀ (u : Use) (p : Places), total (move u p) = total p
  | Use.enter, ⟨0, _⟩ => rfl
  | Use.enter, ⟨free + 1, used⟩ => move_one free used
  | Use.leave, ⟨_, 0⟩ => rfl
  | Use.leave, ⟨free, used + 1⟩ => Eq.symm (move_one free used)

/-- A family of partitions with one of them used; `same` tells partitions apart. -/
def use {ι : Type} (same : ι → ι → Bool) (i : ι) (u : Use) (s : ι → Places) : ι → Places :=
  fun j => cond (same i j) (move u (s j)) (s j)

/-- Using one partition leaves every other as it was. -/
theorem use_leaves_others {ι : Type} (same : ι → ι → Bool) (i j : ι) (u : Use) (s : ι → Places)
    (other : same i j = false) : use same i u s j = s j :=
  congrArg (fun c => cond c (move u (s j)) (s j)) other

theorem choice_conserves (u : Use) (p : Places) : ∀ c : Bool, total (cond c (move u p) p) = total p
  | true => move_conserves u p
  | false => rfl

/-- A trace of uses, the first one first. -/
def uses {ι : Type} (same : ι → ι → Bool) : List (ι × Use) → (ι → Places) → ι → Places
  | [], s => s
  | e :: es, s => uses same es (use same e.1 e.2 s)

/-- Over any trace every partition keeps its number of places. -/
theorem bulkhead_conserves {ι : Type} (same : ι → ι → Bool) (j : ι) :
    ∀ (trace : List (ι × Use)) (s : ι → Places), total (uses same trace s j) = total (s j)
  | [], _ => rfl
  | e :: es, s =>
    Eq.trans (bulkhead_conserves same j es (use same e.1 e.2 s)) (choice_conserves e.2 (s j) (same e.1 j))

/-- No partition ever has more places in use than its capacity. -/
theorem bulkhead_bounds {ι : Type} (same : ι → ι → Bool) (j : ι) (trace : List (ι × Use)) (s : ι → Places) :
    (uses same trace s j).used ≤ total (s j) :=
  Eq.subst (motive := fun n => (uses same trace s j).used ≤ n) (bulkhead_conserves same j trace s)
    (right_below_sum (uses same trace s j).free (uses same trace s j).used)

/-- No event of the trace is on the partition. -/
def Spares {ι : Type} (same : ι → ι → Bool) (j : ι) : List (ι × Use) → Prop
  | [] => True
  | e :: es => same e.1 j = false ∧ Spares same j es

/-- A trace that spares a partition leaves it as it was. -/
theorem bulkhead_isolates {ι : Type} (same : ι → ι → Bool) (j : ι) :
    ∀ (trace : List (ι × Use)) (s : ι → Places), Spares same j trace → uses same trace s j = s j
  | [], _, _ => rfl
  | e :: es, s, h =>
    Eq.trans (bulkhead_isolates same j es (use same e.1 e.2 s) h.2) (use_leaves_others same e.1 j e.2 s h.1)

end Certify
