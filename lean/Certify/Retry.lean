import Certify.Arithmetic

/-!
Retry as a function: attempts until one succeeds, as many as the budget allows. What holds of the machine that retries, in
time and among other calls, is in `Certify.RetryMachine`.
-/

namespace Certify

/-- The first result if it is one, the second otherwise. -/
def orElse {ε α : Type} : Except ε α → Except ε α → Except ε α
  | Except.ok a, _ => Except.ok a
  | Except.error _, r => r

/-- Attempt `i`, and after a failure up to `extra` more. -/
def retry {ε α : Type} (attempt : Nat → Except ε α) : Nat → Nat → Except ε α
  | 0, i => attempt i
  | extra + 1, i => orElse (attempt i) (retry attempt extra (i + 1))

/-- One attempt, and those that follow it when it fails. -/
def counted {ε α : Type} : Except ε α → Nat → Nat
  | Except.ok _, _ => 1
  | Except.error _, n => Nat.succ n

/-- How many attempts a retry makes. -/
def attempts {ε α : Type} (attempt : Nat → Except ε α) : Nat → Nat → Nat
  | 0, _ => 1
  | extra + 1, i => counted (attempt i) (attempts attempt extra (i + 1))

theorem counted_bounded {ε α : Type} {n m : Nat} (h : n ≤ m) : ∀ r : Except ε α, counted r n ≤ Nat.succ m
  | Except.ok _ => succ_below (zero_below m)
  | Except.error _ => succ_below h

/-- A retry makes at most one attempt more than its budget of extra attempts, whatever happens. -/
theorem retry_attempts_bounded {ε α : Type} (attempt : Nat → Except ε α) :
    ∀ extra i : Nat, attempts attempt extra i ≤ Nat.succ extra
  | 0, _ => Nat.le.refl
  | extra + 1, i => counted_bounded (retry_attempts_bounded attempt extra (i + 1)) (attempt i)

theorem counted_once {ε α : Type} (n : Nat) : ∀ r : Except ε α, 1 ≤ counted r n
  | Except.ok _ => Nat.le.refl
  | Except.error _ => succ_below (zero_below n)

/-- A retry makes at least one attempt. -/
theorem retry_attempts_once {ε α : Type} (attempt : Nat → Except ε α) : ∀ extra i : Nat, 1 ≤ attempts attempt extra i
  | 0, _ => Nat.le.refl
  | extra + 1, i => counted_once (attempts attempt extra (i + 1)) (attempt i)

/-- The retry law: a success ends it. -/
theorem retry_success {ε α : Type} (attempt : Nat → Except ε α) (extra i : Nat) (a : α)
    (h : attempt i = Except.ok a) : retry attempt (extra + 1) i = Except.ok a :=
  congrArg (fun r => orElse r (retry attempt extra (i + 1))) h

/-- The retry law: a failure goes on with one attempt less. -/
theorem retry_failure {ε α : Type} (attempt : Nat → Except ε α) (extra i : Nat) (e : ε)
    (h : attempt i = Except.error e) : retry attempt (extra + 1) i = retry attempt extra (i + 1) :=
  congrArg (fun r => orElse r (retry attempt extra (i + 1))) h

/-- Retrying what fails every time fails. -/
theorem retry_always_failing {ε α : Type} (attempt : Nat → Except ε α) (e : ε)
    (h : ∀ i, attempt i = Except.error e) : ∀ extra i : Nat, retry attempt extra i = Except.error e
  | 0, i => h i
  | extra + 1, i => Eq.trans (retry_failure attempt extra i e (h i)) (retry_always_failing attempt e h extra (i + 1))

/-- An effect applied again and again. -/
def iterate {σ : Type} (f : σ → σ) : Nat → σ → σ
  | 0, s => s
  | n + 1, s => f (iterate f n s)

/-- Retrying an idempotent effect does what applying it once does. -/
theorem retry_idempotent {σ : Type} (f : σ → σ) (idem : ∀ s, f (f s) = f s) (s : σ) :
    ∀ n : Nat, iterate f (n + 1) s = f s
  | 0 => rfl
  | n + 1 => Eq.trans (congrArg f (retry_idempotent f idem s n)) (idem s)

end Certify
