/-! The few facts about numbers that the patterns need, proved here so that no lemma name of a release matters. -/

namespace Certify

theorem succ_add (n : Nat) : ∀ k : Nat, Nat.succ n + k = Nat.succ (n + k)
  | 0 => rfl
  | k + 1 => congrArg Nat.succ (succ_add n k)

theorem zero_add : ∀ n : Nat, 0 + n = n
  | 0 => rfl
  | n + 1 => congrArg Nat.succ (zero_add n)

theorem zero_below : ∀ n : Nat, 0 ≤ n
  | 0 => Nat.le.refl
  | n + 1 => Nat.le.step (zero_below n)

theorem succ_below {n : Nat} : ∀ {m : Nat}, n ≤ m → Nat.succ n ≤ Nat.succ m
  | Nat.le.refl => Nat.le.refl
  | Nat.le.step h => Nat.le.step (succ_below h)

theorem below_trans {a b : Nat} (first : a ≤ b) : ∀ {c : Nat}, b ≤ c → a ≤ c
  | Nat.le.refl => first
  | Nat.le.step h => Nat.le.step (below_trans first h)

theorem right_below_sum (n : Nat) : ∀ k : Nat, k ≤ n + k
  | 0 => zero_below n
  | k + 1 => succ_below (right_below_sum n k)

theorem left_below_sum (n : Nat) : ∀ k : Nat, n ≤ n + k
  | 0 => Nat.le.refl
  | k + 1 => Nat.le.step (left_below_sum n k)

/-- One unit may be moved from the left of a sum to its right. -/
theorem move_one (n k : Nat) : n + Nat.succ k = Nat.succ n + k := Eq.symm (succ_add n k)

end Certify
