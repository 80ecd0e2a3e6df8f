/-! Replicas: joining updates in any order, and gluing local sections. -/

namespace Certify

/-- A join that does not mind order, brackets or repetition. -/
structure Semilattice (σ : Type) where
  join : σ → σ → σ
  assoc : ∀ a b c, join (join a b) c = join a (join b c)
  comm : ∀ a b, join a b = join b a
  idem : ∀ a, join a a = a

/-- The state after joining updates. -/
def joined {σ : Type} (l : Semilattice σ) : List σ → σ → σ
  | [], s => s
  | u :: us, s => l.join u (joined l us s)

/-- Lists with the same updates in another order. -/
inductive Reordered {σ : Type} : List σ → List σ → Prop where
  | nil : Reordered ([] : List σ) ([] : List σ)
  | cons (u : σ) {us vs : List σ} (rest : Reordered us vs) : Reordered (u :: us) (u :: vs)
  | swap (u v : σ) (us : List σ) : Reordered (u :: v :: us) (v :: u :: us)
  | trans {us vs ws : List σ} (first : Reordered us vs) (second : Reordered vs ws) : Reordered us ws

theorem join_swap {σ : Type} (l : Semilattice σ) (a b c : σ) : l.join a (l.join b c) = l.join b (l.join a c) :=
  calc
    l.join a (l.join b c) = l.join (l.join a b) c := Eq.symm (l.assoc a b c)
    _ = l.join (l.join b a) c := congrArg (fun x => l.join x c) (l.comm a b)
    _ = l.join b (l.join a c) := l.assoc b a c

/-- Replicas that saw the same updates in any order agree. -/
theorem replicas_agree {σ : Type} (l : Semilattice σ) (s : σ) :
    ∀ {us vs : List σ}, Reordered us vs → joined l us s = joined l vs s
  | Reordered.nil => rfl
  | Reordered.cons u rest => congrArg (l.join u) (replicas_agree l s rest)
  | Reordered.swap u v us => join_swap l u v (joined l us s)
  | Reordered.trans first second => Eq.trans (replicas_agree l s first) (replicas_agree l s second)

/-- An update that arrives twice counts once. -/
theorem duplicates_are_harmless {σ : Type} (l : Semilattice σ) (u : σ) (us : List σ) (s : σ) :
    joined l (u :: u :: us) s = joined l (u :: us) s :=
  Eq.trans (Eq.symm (l.assoc u u (joined l us s))) (congrArg (fun x => l.join x (joined l us s)) (l.idem u))

/-- What is known on each part of a cover, agreeing wherever parts overlap. -/
structure Sections (κ ι α : Type) (part : κ → ι → Prop) where
  value : (k : κ) → (i : ι) → part k i → α
  compatible : ∀ (k l : κ) (i : ι) (hk : part k i) (hl : part l i), value k i hk = value l i hl

/-- One function from compatible sections, when every point has a part that holds it. -/
def glue {κ ι α : Type} {part : κ → ι → Prop} (s : Sections κ ι α part) (pick : ι → κ)
    (covers : ∀ i, part (pick i) i) : ι → α :=
  fun i => s.value (pick i) i (covers i)

/-- The glued function agrees with every section. -/
theorem glue_agrees {κ ι α : Type} {part : κ → ι → Prop} (s : Sections κ ι α part) (pick : ι → κ)
    (covers : ∀ i, part (pick i) i) (k : κ) (i : ι) (h : part k i) : glue s pick covers i = s.value k i h :=
  s.compatible (pick i) k i (covers i) h

/-- There is only one function that agrees with every section. -/
theorem glue_unique {κ ι α : Type} {part : κ → ι → Prop} (s : Sections κ ι α part) (pick : ι → κ)
    (covers : ∀ i, part (pick i) i) (f : ι → α) (agrees : ∀ (k : κ) (i : ι) (h : part k i), f i = s.value k i h)
    (i : ι) : f i = glue s pick covers i :=
  agrees (pick i) i (covers i)

end Certify
