import Certify.Monads

/-! State, exceptions and backpressure over any lawful monad: their laws, and lifting. -/

namespace Certify

/-- State over a monad. -/
def StateOver (σ : Type) (M : Type → Type) (α : Type) : Type := σ → M (α × σ)

/-- State over a lawful monad is a lawful monad. -/
def stateOver (σ : Type) {M : Type → Type} (m : LawfulMonadOn M) : LawfulMonadOn (StateOver σ M) :=
  ⟨fun a s => m.pure (a, s),
    fun x f s => m.bind (x s) (fun p => f p.1 p.2),
    fun a f => funext fun s => m.pure_bind (a, s) (fun p => f p.1 p.2),
    fun x => funext fun s => m.bind_pure (x s),
    fun x f g => funext fun s => m.assoc (x s) (fun p => f p.1 p.2) (fun p => g p.1 p.2)⟩

/-- Work of the inner monad that leaves the state alone. -/
def StateOver.lift (σ : Type) {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (x : M α) : StateOver σ M α :=
  fun s => m.bind x (fun a => m.pure (a, s))

/-- Lifting into state keeps values. -/
theorem state_lift_pure (σ : Type) {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (a : α) :
    StateOver.lift σ m (m.pure a) = (stateOver σ m).pure a :=
  funext fun s => m.pure_bind a (fun b => m.pure (b, s))

/-- Lifting into state keeps sequencing. -/
theorem state_lift_bind (σ : Type) {M : Type → Type} (m : LawfulMonadOn M) {α β : Type} (x : M α) (f : α → M β) :
    StateOver.lift σ m (m.bind x f) = (stateOver σ m).bind (StateOver.lift σ m x) (fun a => StateOver.lift σ m (f a)) :=
  funext fun s =>
    Eq.trans (m.assoc x f (fun b => m.pure (b, s)))
      (Eq.symm (Eq.trans (m.assoc x (fun a => m.pure (a, s)) (fun p => StateOver.lift σ m (f p.1) p.2))
        (congrArg (fun k => m.bind x k)
          (funext fun a => m.pure_bind (a, s) (fun p => StateOver.lift σ m (f p.1) p.2)))))

/-- Exceptions over a monad. -/
def ExceptOver (ε : Type) (M : Type → Type) (α : Type) : Type := M (Except ε α)

/-- How a computation goes on after a result or an exception. -/
def ExceptOver.next {ε : Type} {M : Type → Type} (m : LawfulMonadOn M) {α β : Type} (f : α → M (Except ε β)) :
    Except ε α → M (Except ε β)
  | Except.error e => m.pure (Except.error e)
  | Except.ok a => f a

theorem ExceptOver.next_pure {ε : Type} {M : Type → Type} (m : LawfulMonadOn M) {α : Type} :
    ∀ r : Except ε α, ExceptOver.next m (fun a => m.pure (Except.ok a)) r = m.pure r
  | Except.error _ => rfl
  | Except.ok _ => rfl

theorem ExceptOver.next_assoc {ε : Type} {M : Type → Type} (m : LawfulMonadOn M) {α β γ : Type}
    (f : α → M (Except ε β)) (g : β → M (Except ε γ)) :
    ∀ r : Except ε α, m.bind (ExceptOver.next m f r) (ExceptOver.next m g)
      = ExceptOver.next m (fun a => m.bind (f a) (ExceptOver.next m g)) r
  | Except.error e => m.pure_bind (Except.error e) (ExceptOver.next m g)
  | Except.ok _ => rfl

/-- Exceptions over a lawful monad are a lawful monad. -/
def exceptOver (ε : Type) {M : Type → Type} (m : LawfulMonadOn M) : LawfulMonadOn (ExceptOver ε M) :=
  ⟨fun a => m.pure (Except.ok a),
    fun x f => m.bind x (ExceptOver.next m f),
    fun a f => m.pure_bind (Except.ok a) (ExceptOver.next m f),
    fun x => Eq.trans (congrArg (fun k => m.bind x k) (funext (ExceptOver.next_pure m))) (m.bind_pure x),
    fun x f g => Eq.trans (m.assoc x (ExceptOver.next m f) (ExceptOver.next m g))
      (congrArg (fun k => m.bind x k) (funext (ExceptOver.next_assoc m f g)))⟩

/-- Work of the inner monad, which raises nothing. -/
def ExceptOver.lift (ε : Type) {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (x : M α) : ExceptOver ε M α :=
  m.bind x (fun a => m.pure (Except.ok a))

/-- Lifting into exceptions keeps values. -/
theorem except_lift_pure (ε : Type) {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (a : α) :
    ExceptOver.lift ε m (m.pure a) = (exceptOver ε m).pure a :=
  m.pure_bind a (fun b => m.pure (Except.ok b))

/-- Lifting into exceptions keeps sequencing. -/
theorem except_lift_bind (ε : Type) {M : Type → Type} (m : LawfulMonadOn M) {α β : Type} (x : M α) (f : α → M β) :
    ExceptOver.lift ε m (m.bind x f) = (exceptOver ε m).bind (ExceptOver.lift ε m x) (fun a => ExceptOver.lift ε m (f a)) :=
  Eq.trans (m.assoc x f (fun b => m.pure (Except.ok b)))
    (Eq.symm (Eq.trans
      (m.assoc x (fun a => m.pure (Except.ok a)) (ExceptOver.next m (fun a => ExceptOver.lift ε m (f a))))
      (congrArg (fun k => m.bind x k)
        (funext fun a => m.pure_bind (Except.ok a) (ExceptOver.next m (fun a => ExceptOver.lift ε m (f a)))))))

/-- Backpressure over a monad: work takes credits and gives back what is left, or is refused. -/
def BackpressureOver (M : Type → Type) (α : Type) : Type := Nat → M (Option (α × Nat))

/-- How work goes on when it was not refused. -/
def BackpressureOver.next {M : Type → Type} (m : LawfulMonadOn M) {α β : Type} (f : α → Nat → M (Option (β × Nat))) :
    Option (α × Nat) → M (Option (β × Nat))
  | none => m.pure none
  | some p => f p.1 p.2

theorem BackpressureOver.next_pure {M : Type → Type} (m : LawfulMonadOn M) {α : Type} :
    ∀ r : Option (α × Nat), BackpressureOver.next m (fun a n => m.pure (some (a, n))) r = m.pure r
  | none => rfl
  | some _ => rfl

theorem BackpressureOver.next_assoc {M : Type → Type} (m : LawfulMonadOn M) {α β γ : Type}
    (f : α → Nat → M (Option (β × Nat))) (g : β → Nat → M (Option (γ × Nat))) :
    ∀ r : Option (α × Nat), m.bind (BackpressureOver.next m f r) (BackpressureOver.next m g)
      = BackpressureOver.next m (fun a n => m.bind (f a n) (BackpressureOver.next m g)) r
  | none => m.pure_bind none (BackpressureOver.next m g)
  | some _ => rfl

/-- Backpressure over a lawful monad is a lawful monad. -/
def backpressureOver {M : Type → Type} (m : LawfulMonadOn M) : LawfulMonadOn (BackpressureOver M) :=
  ⟨fun a n => m.pure (some (a, n)),
    fun x f n => m.bind (x n) (BackpressureOver.next m f),
    fun a f => funext fun n => m.pure_bind (some (a, n)) (BackpressureOver.next m f),
    fun x => funext fun n =>
      Eq.trans (congrArg (fun k => m.bind (x n) k) (funext (BackpressureOver.next_pure m))) (m.bind_pure (x n)),
    fun x f g => funext fun n =>
      Eq.trans (m.assoc (x n) (BackpressureOver.next m f) (BackpressureOver.next m g))
        (congrArg (fun k => m.bind (x n) k) (funext (BackpressureOver.next_assoc m f g)))⟩

/-- Taking one credit, or being refused when none is left. -/
def BackpressureOver.acquire {M : Type → Type} (m : LawfulMonadOn M) : BackpressureOver M Unit
  | 0 => m.pure none
  | n + 1 => m.pure (some ((), n))

/-- Work of the inner monad, which takes no credit. -/
def BackpressureOver.lift {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (x : M α) : BackpressureOver M α :=
  fun n => m.bind x (fun a => m.pure (some (a, n)))

/-- Lifting under backpressure keeps values. -/
theorem backpressure_lift_pure {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (a : α) :
    BackpressureOver.lift m (m.pure a) = (backpressureOver m).pure a :=
  funext fun n => m.pure_bind a (fun b => m.pure (some (b, n)))

/-- Lifting under backpressure keeps sequencing. -/
theorem backpressure_lift_bind {M : Type → Type} (m : LawfulMonadOn M) {α β : Type} (x : M α) (f : α → M β) :
    BackpressureOver.lift m (m.bind x f) =
      (backpressureOver m).bind (BackpressureOver.lift m x) (fun a => BackpressureOver.lift m (f a)) :=
  funext fun n =>
    Eq.trans (m.assoc x f (fun b => m.pure (some (b, n))))
      (Eq.symm (Eq.trans
        (m.assoc x (fun a => m.pure (some (a, n))) (BackpressureOver.next m (fun a => BackpressureOver.lift m (f a))))
        (congrArg (fun k => m.bind x k)
          (funext fun a => m.pure_bind (some (a, n)) (BackpressureOver.next m (fun a => BackpressureOver.lift m (f a)))))))

/-- State over any lawful monad keeps the laws of a monad. -/
theorem state_over_is_a_monad (σ : Type) {M : Type → Type} (m : LawfulMonadOn M) : (stateOver σ m).Laws :=
  (stateOver σ m).laws

/-- Exceptions over any lawful monad keep the laws of a monad. -/
theorem except_over_is_a_monad (ε : Type) {M : Type → Type} (m : LawfulMonadOn M) : (exceptOver ε m).Laws :=
  (exceptOver ε m).laws

/-- Backpressure over any lawful monad keeps the laws of a monad. -/
theorem backpressure_over_is_a_monad {M : Type → Type} (m : LawfulMonadOn M) : (backpressureOver m).Laws :=
  (backpressureOver m).laws

/-- Without credit nothing that follows is done. -/
theorem no_credit_no_work {M : Type → Type} (m : LawfulMonadOn M) {α : Type} (f : Unit → BackpressureOver M α) :
    (backpressureOver m).bind (BackpressureOver.acquire m) f 0 = m.pure none :=
  m.pure_bind none (BackpressureOver.next m f)

end Certify
