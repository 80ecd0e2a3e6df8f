import Certify.Category

/-! Monads with their laws: option, exception, state, reader and writer. -/

namespace Certify

universe u v

/-- A monad on types, with its three laws. -/
structure LawfulMonadOn (M : Type u → Type v) where
  pure : {α : Type u} → α → M α
  bind : {α β : Type u} → M α → (α → M β) → M β
  pure_bind : ∀ {α β : Type u} (a : α) (f : α → M β), bind (pure a) f = f a
  bind_pure : ∀ {α : Type u} (m : M α), bind m (fun a => pure a) = m
  assoc : ∀ {α β γ : Type u} (m : M α) (f : α → M β) (g : β → M γ),
    bind (bind m f) g = bind m (fun a => bind (f a) g)

/-- Applying a function inside a monad. -/
def LawfulMonadOn.map {M : Type u → Type v} (m : LawfulMonadOn M) {α β : Type u} (f : α → β) (x : M α) : M β :=
  m.bind x (fun a => m.pure (f a))

/-- The three laws of a monad: both units and associativity. -/
def LawfulMonadOn.Laws {M : Type u → Type v} (m : LawfulMonadOn M) : Prop :=
  (∀ (α β : Type u) (a : α) (f : α → M β), m.bind (m.pure a) f = f a) ∧
  (∀ (α : Type u) (x : M α), m.bind x (fun a => m.pure a) = x) ∧
  (∀ (α β γ : Type u) (x : M α) (f : α → M β) (g : β → M γ),
    m.bind (m.bind x f) g = m.bind x (fun a => m.bind (f a) g))

theorem LawfulMonadOn.laws {M : Type u → Type v} (m : LawfulMonadOn M) : m.Laws :=
  ⟨fun _ _ a f => m.pure_bind a f, fun _ x => m.bind_pure x, fun _ _ _ x f g => m.assoc x f g⟩

/-- Mapping the identity changes nothing. -/
theorem map_id {M : Type u → Type v} (m : LawfulMonadOn M) {α : Type u} (x : M α) :
    m.map (fun a : α => a) x = x :=
  m.bind_pure x

/-- Mapping one function after another is mapping their composition. -/
theorem map_comp {M : Type u → Type v} (m : LawfulMonadOn M) {α β γ : Type u} (f : α → β) (g : β → γ) (x : M α) :
    m.map g (m.map f x) = m.map (fun a => g (f a)) x :=
  Eq.trans (m.assoc x (fun a => m.pure (f a)) (fun b => m.pure (g b)))
    (congrArg (fun k => m.bind x k) (funext fun a => m.pure_bind (f a) (fun b => m.pure (g b))))

/-- Going on with an optional value. -/
def Opt.bind {α β : Type u} : Option α → (α → Option β) → Option β
  | none, _ => none
  | some a, f => f a

theorem Opt.bind_pure {α : Type u} : ∀ m : Option α, Opt.bind m (fun a => some a) = m
  | none => rfl
  | some _ => rfl

theorem Opt.assoc {α β γ : Type u} :
    ∀ (m : Option α) (f : α → Option β) (g : β → Option γ),
      Opt.bind (Opt.bind m f) g = Opt.bind m (fun a => Opt.bind (f a) g)
  | none, _, _ => rfl
  | some _, _, _ => rfl

/-- Optional values are a monad. -/
def optionMonad : LawfulMonadOn.{u, u} Option.{u} :=
  ⟨fun a => some a, fun m f => Opt.bind m f, fun _ _ => rfl, fun m => Opt.bind_pure m, fun m f g => Opt.assoc m f g⟩

/-- Going on with a value that may be an exception. -/
def Exc.bind {ε : Type u} {α β : Type u} : Except ε α → (α → Except ε β) → Except ε β
  | Except.error e, _ => Except.error e
  | Except.ok a, f => f a

theorem Exc.bind_pure {ε : Type u} {α : Type u} : ∀ m : Except ε α, Exc.bind m (fun a => Except.ok a) = m
  | Except.error _ => rfl
  | Except.ok _ => rfl

theorem Exc.assoc {ε : Type u} {α β γ : Type u} :
    ∀ (m : Except ε α) (f : α → Except ε β) (g : β → Except ε γ),
      Exc.bind (Exc.bind m f) g = Exc.bind m (fun a => Exc.bind (f a) g)
  | Except.error _, _, _ => rfl
  | Except.ok _, _, _ => rfl

/-- Exceptions are a monad. -/
def exceptMonad (ε : Type u) : LawfulMonadOn.{u, u} (fun α => Except ε α) :=
  ⟨fun a => Except.ok a, fun m f => Exc.bind m f, fun _ _ => rfl, fun m => Exc.bind_pure m,
    fun m f g => Exc.assoc m f g⟩

/-- State that is read and written is a monad. -/
def stateMonad (σ : Type u) : LawfulMonadOn.{u, u} (fun α => σ → α × σ) :=
  ⟨fun a s => (a, s), fun m f s => f (m s).1 (m s).2, fun _ _ => rfl, fun _ => rfl, fun _ _ _ => rfl⟩

/-- Values that depend on an environment are a monad. -/
def readerMonad (ρ : Type u) : LawfulMonadOn.{u, u} (fun α => ρ → α) :=
  ⟨fun a _ => a, fun m f r => f (m r) r, fun _ _ => rfl, fun _ => rfl, fun _ _ _ => rfl⟩

/-- A monoid: what a writer collects. -/
structure MonoidOn (ω : Type u) where
  one : ω
  mul : ω → ω → ω
  one_mul : ∀ a, mul one a = a
  mul_one : ∀ a, mul a one = a
  assoc : ∀ a b c, mul (mul a b) c = mul a (mul b c)

/-- Output that is collected in a monoid is a monad. -/
def writerMonad {ω : Type u} (w : MonoidOn ω) : LawfulMonadOn.{u, u} (fun α => α × ω) :=
  ⟨fun a => (a, w.one), fun m f => ((f m.1).1, w.mul m.2 (f m.1).2),
    fun a f => congrArg (fun x => ((f a).1, x)) (w.one_mul (f a).2),
    fun m => congrArg (fun x => (m.1, x)) (w.mul_one m.2),
    fun m f g => congrArg (fun x => ((g (f m.1).1).1, x)) (w.assoc m.2 (f m.1).2 (g (f m.1).1).2)⟩

/-- Optional values keep the laws of a monad. -/
theorem option_is_a_monad : (optionMonad.{u}).Laws := (optionMonad.{u}).laws

/-- Exceptions keep the laws of a monad. -/
theorem except_is_a_monad (ε : Type u) : (exceptMonad ε).Laws := (exceptMonad ε).laws

/-- State keeps the laws of a monad. -/
theorem state_is_a_monad (σ : Type u) : (stateMonad σ).Laws := (stateMonad σ).laws

/-- Reading from an environment keeps the laws of a monad. -/
theorem reader_is_a_monad (ρ : Type u) : (readerMonad ρ).Laws := (readerMonad ρ).laws

/-- Collecting output in a monoid keeps the laws of a monad. -/
theorem writer_is_a_monad {ω : Type u} (w : MonoidOn ω) : (writerMonad w).Laws := (writerMonad w).laws

end Certify
