import Certify.Arithmetic

/-! Circuit breaker: calls are admitted, rejected or admitted as probes, over traces of any length. -/

namespace Certify

/-- Closed with the failures counted so far, open, or half open with probes left and probes in flight. -/
inductive Mode where
  | closed (failures : Nat) : Mode
  | opened : Mode
  | probing (left flying : Nat) : Mode

/-- What a caller is told. -/
inductive Decision where
  | admitted : Decision
  | rejected : Decision

/-- What happens to a breaker: a call, a result stamped with the era of its call, or the end of the pause. -/
inductive Event where
  | call : Event
  | result (era : Nat) (ok : Bool) : Event
  | cool : Event

/-- A breaker: its era, which grows with every change of mode, and its mode. -/
structure Breaker where
  era : Nat
  mode : Mode

/-- What a call is told. -/
def decide_call : Mode → Decision
  | Mode.closed _ => Decision.admitted
  | Mode.opened => Decision.rejected
  | Mode.probing 0 _ => Decision.rejected
  | Mode.probing (_ + 1) _ => Decision.admitted

/-- What a call changes. -/
def after_call : Mode → Mode
  | Mode.closed n => Mode.closed n
  | Mode.opened => Mode.opened
  | Mode.probing 0 k => Mode.probing 0 k
  | Mode.probing (n + 1) k => Mode.probing n (k + 1)

/-- What a result of the current era changes; `threshold` failures open the breaker. -/
def after_result (threshold : Nat) (b : Breaker) : Bool → Mode → Breaker
  | true, Mode.closed _ => ⟨b.era, Mode.closed 0⟩
  | false, Mode.closed n => cond (Nat.ble threshold (n + 1)) ⟨b.era + 1, Mode.opened⟩ ⟨b.era, Mode.closed (n + 1)⟩
  | _, Mode.opened => b
  | true, Mode.probing _ _ => ⟨b.era + 1, Mode.closed 0⟩
  | false, Mode.probing _ _ => ⟨b.era + 1, Mode.opened⟩

/-- A result counts only in the era of its call. -/
def in_era (b : Breaker) (next : Breaker) : Bool → Breaker
  | true => next
  | false => b

/-- What the end of the pause changes: `limit` probes may be sent. -/
def after_pause (limit : Nat) (b : Breaker) : Mode → Breaker
  | Mode.closed _ => b
  | Mode.opened => ⟨b.era + 1, Mode.probing limit 0⟩
  | Mode.probing _ _ => b

/-- What an event changes. -/
def breaker_step (threshold limit : Nat) (b : Breaker) : Event → Breaker
  | Event.call => ⟨b.era, after_call b.mode⟩
  | Event.result era ok => in_era b (after_result threshold b ok b.mode) (Nat.beq era b.era)
  | Event.cool => after_pause limit b b.mode

/-- What a trace changes, its first event first. -/
def breaker_run (threshold limit : Nat) : List Event → Breaker → Breaker
  | [], b => b
  | e :: es, b => breaker_run threshold limit es (breaker_step threshold limit b e)

/-- A call is admitted or rejected. -/
theorem breaker_decides (m : Mode) : decide_call m = Decision.admitted ∨ decide_call m = Decision.rejected :=
  match m with
  | Mode.closed _ => Or.inl rfl
  | Mode.opened => Or.inr rfl
  | Mode.probing 0 _ => Or.inr rfl
  | Mode.probing (_ + 1) _ => Or.inl rfl

theorem admitted_is_not_rejected (h : Decision.admitted = Decision.rejected) : False := nomatch h

/-- A call is never both admitted and rejected. -/
theorem breaker_separates (m : Mode) (yes : decide_call m = Decision.admitted)
    (no : decide_call m = Decision.rejected) : False :=
  admitted_is_not_rejected (Eq.trans (Eq.symm yes) no)

/-- Calls that reach the backend in a trace of calls. -/
def reached : Decision → Nat
  | Decision.admitted => 1
  | Decision.rejected => 0

def reaching : Nat → Mode → Nat
  | 0, _ => 0
  | n + 1, m => reaching n (after_call m) + reached (decide_call m)

/-- While the breaker is open no call reaches the backend, however many are made. -/
theorem open_reaches_nothing : ∀ n : Nat, reaching n Mode.opened = 0
  | 0 => rfl
  | n + 1 => open_reaches_nothing n

/-- A result of another era changes nothing. -/
theorem breaker_isolates_eras (threshold limit : Nat) (b : Breaker) (era : Nat) (ok : Bool)
    (other : Nat.beq era b.era = false) : breaker_step threshold limit b (Event.result era ok) = b :=
  congrArg (in_era b (after_result threshold b ok b.mode)) other

/-- Probes left and in flight make up the limit. -/
def Balanced (limit : Nat) : Mode → Prop
  | Mode.closed _ => True
  | Mode.opened => True
  | Mode.probing left flying => left + flying = limit

theorem call_keeps_balance (limit : Nat) : ∀ m : Mode, Balanced limit m → Balanced limit (after_call m)
  | Mode.closed _, h => h
  | Mode.opened, h => h
  | Mode.probing 0 _, h => h
  | Mode.probing (n + 1) k, h => Eq.trans (move_one n k) h

theorem choice_keeps_balance (limit : Nat) (x y : Breaker) (hx : Balanced limit x.mode) (hy : Balanced limit y.mode) :
    ∀ c : Bool, Balanced limit (cond c x y).mode
  | true => hx
  | false => hy

theorem result_keeps_balance (threshold limit : Nat) (b : Breaker) (h : Balanced limit b.mode) :
    ∀ (ok : Bool) (m : Mode), Balanced limit (after_result threshold b ok m).mode
  | true, Mode.closed _ => trivial
  | false, Mode.closed n =>
    choice_keeps_balance limit ⟨b.era + 1, Mode.opened⟩ ⟨b.era, Mode.closed (n + 1)⟩ trivial trivial
      (Nat.ble threshold (n + 1))
  | true, Mode.opened => h
  | false, Mode.opened => h
  | true, Mode.probing _ _ => trivial
  | false, Mode.probing _ _ => trivial

theorem era_keeps_balance (limit : Nat) (b next : Breaker) (h : Balanced limit b.mode)
    (h' : Balanced limit next.mode) : ∀ same : Bool, Balanced limit (in_era b next same).mode
  | true => h'
  | false => h

theorem pause_keeps_balance (limit : Nat) (b : Breaker) (h : Balanced limit b.mode) :
    ∀ m : Mode, Balanced limit (after_pause limit b m).mode
  | Mode.closed _ => h
  | Mode.opened => rfl
  | Mode.probing _ _ => h

theorem step_keeps_balance (threshold limit : Nat) (b : Breaker) (h : Balanced limit b.mode) :
    ∀ e : Event, Balanced limit (breaker_step threshold limit b e).mode
  | Event.call => call_keeps_balance limit b.mode h
  | Event.result era ok =>
    era_keeps_balance limit b (after_result threshold b ok b.mode) h
      (result_keeps_balance threshold limit b h ok b.mode) (Nat.beq era b.era)
  | Event.cool => pause_keeps_balance limit b h b.mode

/-- After any trace the probes left and in flight make up the limit. -/
theorem run_keeps_balance (threshold limit : Nat) :
    ∀ (trace : List Event) (b : Breaker), Balanced limit b.mode →
      Balanced limit (breaker_run threshold limit trace b).mode
  | [], _, h => h
  | e :: es, b, h =>
    run_keeps_balance threshold limit es (breaker_step threshold limit b e) (step_keeps_balance threshold limit b h e)

/-- Probes in flight. -/
def flying : Mode → Nat
  | Mode.closed _ => 0
  | Mode.opened => 0
  | Mode.probing _ k => k

theorem balanced_bounds (limit : Nat) : ∀ m : Mode, Balanced limit m → flying m ≤ limit
  | Mode.closed _, _ => zero_below limit
  | Mode.opened, _ => zero_below limit
  | Mode.probing n k, h => Eq.subst (motive := fun x => k ≤ x) h (right_below_sum n k)

/-- From a closed breaker no trace brings more probes into flight than the limit. -/
theorem breaker_bounds_probes (threshold limit era : Nat) (trace : List Event) :
    flying (breaker_run threshold limit trace ⟨era, Mode.closed 0⟩).mode ≤ limit :=
  balanced_bounds limit (breaker_run threshold limit trace ⟨era, Mode.closed 0⟩).mode
    (run_keeps_balance threshold limit trace ⟨era, Mode.closed 0⟩ trivial)

end Certify
