import Certify.Machines.CircuitBreaker

/-! The circuit breaker of the specification: what holds after every legal trace, of any length, for all parameters. -/

namespace Certify.CircuitBreaker

/-- Whether a call belongs to the round of probes under way. -/
def InRound (mode : Mode) (stage : Stage) (call_era era : Int) : Bool :=
  and (Mode.same mode Mode.half_open) (and (Stage.same stage Stage.inside) (sameInt call_era era))

/-- Whether a call of the era is in flight while the breaker is open. -/
def Leaks (mode : Mode) (stage : Stage) (call_era era : Int) : Bool :=
  and (Mode.same mode Mode.open_) (and (Stage.same stage Stage.inside) (sameInt call_era era))

/-- What holds of eras, rounds and counts in every state that a run reaches. -/
def Round {Call : Type} (p : Params) (mode : Mode) (era probes successes : Int) (stage : Call → Stage)
    (call_era : Call → Int) (flying : Group Call) : Prop :=
  (∀ c : Call, atMost (call_era c) era = true) ∧
  (∀ c : Call, Leaks mode (stage c) (call_era c) era = false) ∧
  (∀ c : Call, flying.has c = InRound mode (stage c) (call_era c) era) ∧
  (probes = flying.size) ∧
  (atMost (plus probes successes) p.permitted_probes = true) ∧
  (atMost (Int.ofNat 0) successes = true)

/-- The same of a whole state. -/
def Orderly {Call : Type} (p : Params) (s : State Call) : Prop :=
  Round p s.mode s.era s.probes s.successes s.stage s.call_era s.flying

theorem closed_is_no_round {mode : Mode} (h : Mode.same mode Mode.closed = true) (stage : Stage) (call_era era : Int) :
    InRound mode stage call_era era = false :=
  Eq.subst (motive := fun x => InRound x stage call_era era = false) (Eq.symm (Mode.known mode Mode.closed h)) rfl

theorem closed_leaks_nothing {mode : Mode} (h : Mode.same mode Mode.closed = true) (stage : Stage)
    (call_era era : Int) : Leaks mode stage call_era era = false :=
  Eq.subst (motive := fun x => Leaks x stage call_era era = false) (Eq.symm (Mode.known mode Mode.closed h)) rfl

theorem half_leaks_nothing {mode : Mode} (h : Mode.same mode Mode.half_open = true) (stage : Stage)
    (call_era era : Int) : Leaks mode stage call_era era = false :=
  Eq.subst (motive := fun x => Leaks x stage call_era era = false) (Eq.symm (Mode.known mode Mode.half_open h)) rfl

theorem outside_is_no_round (mode : Mode) {stage : Stage} (h : Stage.same stage Stage.outside = true)
    (call_era era : Int) : InRound mode stage call_era era = false :=
  Eq.subst (motive := fun x => InRound mode x call_era era = false) (Eq.symm (Stage.known stage Stage.outside h))
    (and_false (Mode.same mode Mode.half_open))

/-- A call that ends leaks nothing, and what else is in flight leaks as little as before. -/
theorem ending_leaks_nothing {Call : Type} (k : Alike Call) (mode : Mode) (stage : Call → Stage) (call_era : Call → Int)
    (era : Int) (c : Call) (h : ∀ d : Call, Leaks mode (stage d) (call_era d) era = false) (d : Call) :
    Leaks mode (put k.same stage c Stage.outside d) (call_era d) era = false :=
  by_value (fun b => Leaks mode (cond b Stage.outside (stage d)) (call_era d) era = false) (k.same d c)
    (fun _ => and_false (Mode.same mode Mode.open_)) (fun _ => h d)

/-- A call that belongs to no round may end without a trace. -/
theorem round_without {Call : Type} (k : Alike Call) (p : Params) (mode : Mode) (era probes successes : Int)
    (stage : Call → Stage) (call_era : Call → Int) (flying : Group Call) (c : Call)
    (h : Round p mode era probes successes stage call_era flying)
    (no : InRound mode (stage c) (call_era c) era = false) :
    Round p mode era probes successes (put k.same stage c Stage.outside) call_era flying :=
  ⟨h.1, ending_leaks_nothing k mode stage call_era era c h.2.1,
    put_holds k (fun y x => flying.has y = InRound mode x (call_era y) era) stage c Stage.outside
      (Eq.trans (h.2.2.1 c) (Eq.trans no (Eq.symm (and_false (Mode.same mode Mode.half_open)))))
      (fun y _ => h.2.2.1 y),
    h.2.2.2⟩

/-- A call of another era belongs to no round. -/
theorem stale_is_no_round (mode : Mode) (stage : Stage) {call_era era : Int} (h : sameInt call_era era = false) :
    InRound mode stage call_era era = false :=
  fails_second (fails_second h)

/-- A new era without probes, closed or open, is in order. -/
theorem fresh_round {Call : Type} (k : Alike Call) (p : Params) (some : atMost (Int.ofNat 1) p.permitted_probes = true)
    (mode : Mode) (era : Int) (stage : Call → Stage) (call_era : Call → Int)
    (past : ∀ c : Call, atMost (call_era c) era = true) (whole : Mode.same mode Mode.half_open = false) :
    Round p mode (up era) (Int.ofNat 0) (Int.ofNat 0) stage call_era none_of :=
  ⟨fun c => atMost_trans (past c) (atMost_up era),
    fun c => fails_second (fails_second (past_differs (past c))),
    fun c => Eq.symm (fails_first whole), rfl, atMost_trans (atMost_up (Int.ofNat 0)) some, rfl⟩

/-- A probe that comes back takes its place out of the round. -/
theorem round_after {Call : Type} (k : Alike Call) (p : Params) (mode : Mode) (era probes successes more : Int)
    (stage : Call → Stage) (call_era : Call → Int) (flying : Group Call) (c : Call)
    (h : Round p mode era probes successes stage call_era flying) (half : Mode.same mode Mode.half_open = true)
    (inside : Stage.same (stage c) Stage.inside = true) (now : sameInt (call_era c) era = true)
    (sum : atMost (plus (down probes) more) p.permitted_probes = true) (more_than : atMost (Int.ofNat 0) more = true) :
    Round p mode era (down probes) more (put k.same stage c Stage.outside) call_era (remove k.same flying c) :=
  have there : flying.has c = true := Eq.trans (h.2.2.1 c) (both half (both inside now))
  Eq.subst (motive := fun g => Round p mode era (down probes) more (put k.same stage c Stage.outside) call_era g)
    (Eq.symm (remove_old k.same flying c there))
    ⟨h.1, fun d => half_leaks_nothing half (put k.same stage c Stage.outside d) (call_era d) era,
      fun d => by_value (fun b => cond b false (flying.has d) =
          InRound mode (cond b Stage.outside (stage d)) (call_era d) era) (k.same d c)
        (fun _ => Eq.symm (and_false (Mode.same mode Mode.half_open))) (fun _ => h.2.2.1 d),
      congrArg down h.2.2.2.1, sum, more_than⟩

theorem half_or_open : ∀ mode : Mode, Mode.same mode Mode.closed = false →
    Mode.same mode Mode.half_open = true ∨ Mode.same mode Mode.open_ = true
  | Mode.closed, h => never (Eq.symm h)
  | Mode.open_, _ => Or.inr rfl
  | Mode.half_open, _ => Or.inl rfl

/-- A call of the era that is in flight while the breaker is not closed is a probe. -/
theorem current_is_probe {Call : Type} (p : Params) (mode : Mode) (era probes successes : Int) (stage : Call → Stage)
    (call_era : Call → Int) (flying : Group Call) (c : Call)
    (h : Round p mode era probes successes stage call_era flying) (not_closed : Mode.same mode Mode.closed = false)
    (inside : Stage.same (stage c) Stage.inside = true) (now : sameInt (call_era c) era = true) :
    Mode.same mode Mode.half_open = true :=
  Or.elim (half_or_open mode not_closed) (fun half => half)
    (fun is_open => clash (both is_open (both inside now)) (h.2.1 c))

theorem admit_keeps_order {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (h : Orderly p s)
    (may : admit_allowed k p s c = true) : Orderly p (admit_next k p s c) :=
  have closed : Mode.same s.mode Mode.closed = true := second_of may
  ⟨put_holds k (fun _ x => atMost x s.era = true) s.call_era c s.era (atMost_refl s.era) (fun y _ => h.1 y),
    fun d => closed_leaks_nothing closed (put k.same s.stage c Stage.inside d) (put k.same s.call_era c s.era d) s.era,
    fun d => Eq.trans (h.2.2.1 d) (Eq.trans (closed_is_no_round closed (s.stage d) (s.call_era d) s.era)
      (Eq.symm (closed_is_no_round closed (put k.same s.stage c Stage.inside d) (put k.same s.call_era c s.era d)
        s.era))),
    h.2.2.2⟩

theorem probe_keeps_order {Call : Type} (k : Alike Call) (p : Params)
    (some : atMost (Int.ofNat 1) p.permitted_probes = true) (s : State Call) (c : Call) (h : Orderly p s) :
    Orderly p (probe_next k p s c) :=
  ⟨put_holds k (fun _ x => atMost x (up s.era) = true) s.call_era c (up s.era) (atMost_refl (up s.era))
      (fun y _ => atMost_trans (h.1 y) (atMost_up s.era)),
    fun _ => rfl,
    fun d => by_value (fun b => cond b true false =
        InRound Mode.half_open (cond b Stage.inside (s.stage d)) (cond b (up s.era) (s.call_era d)) (up s.era))
      (k.same d c) (fun _ => Eq.symm (sameInt_refl (up s.era)))
      (fun _ => Eq.symm (stale_is_no_round Mode.half_open (s.stage d) (past_differs (h.1 d)))),
    rfl, some, rfl⟩

theorem probe_too_keeps_order {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (h : Orderly p s)
    (may : probe_too_allowed k p s c = true) : Orderly p (probe_too_next k p s c) :=
  have half : Mode.same s.mode Mode.half_open = true := first_of (second_of may)
  have new : s.flying.has c = false :=
    Eq.trans (h.2.2.1 c) (outside_is_no_round s.mode (first_of may) (s.call_era c) s.era)
  Eq.subst (motive := fun g => Round p s.mode s.era (up s.probes) s.successes (put k.same s.stage c Stage.inside)
      (put k.same s.call_era c s.era) g) (Eq.symm (insert_new k.same s.flying c new))
    ⟨put_holds k (fun _ x => atMost x s.era = true) s.call_era c s.era (atMost_refl s.era) (fun y _ => h.1 y),
      fun d => half_leaks_nothing half (put k.same s.stage c Stage.inside d) (put k.same s.call_era c s.era d) s.era,
      fun d => by_value (fun b => cond b true (s.flying.has d) =
          InRound s.mode (cond b Stage.inside (s.stage d)) (cond b s.era (s.call_era d)) s.era) (k.same d c)
        (fun _ => Eq.symm (both half (sameInt_refl s.era))) (fun _ => h.2.2.1 d),
      congrArg up h.2.2.2.1,
      Eq.subst (motive := fun x => atMost x p.permitted_probes = true) (Eq.symm (sum_up s.probes s.successes))
        (second_of (second_of (second_of may))),
      h.2.2.2.2.2⟩

theorem succeed_keeps_order {Call : Type} (k : Alike Call) (p : Params)
    (some : atMost (Int.ofNat 1) p.permitted_probes = true) (s : State Call) (c : Call) (h : Orderly p s)
    (may : succeed_allowed k p s c = true) : Orderly p (succeed_next k p s c) :=
  by_value (fun b => Round p
      (cond b (cond (Mode.same s.mode Mode.closed) s.mode
        (cond (atMost p.success_threshold (up s.successes)) Mode.closed s.mode)) s.mode)
      (cond b (cond (Mode.same s.mode Mode.closed) s.era
        (cond (atMost p.success_threshold (up s.successes)) (up s.era) s.era)) s.era)
      (cond b (cond (Mode.same s.mode Mode.closed) s.probes
        (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) (down s.probes))) s.probes)
      (cond b (cond (Mode.same s.mode Mode.closed) s.successes
        (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) (up s.successes))) s.successes)
      (put k.same s.stage c Stage.outside) s.call_era
      (cond b (cond (Mode.same s.mode Mode.closed) s.flying
        (cond (atMost p.success_threshold (up s.successes)) none_of (remove k.same s.flying c))) s.flying))
    (sameInt (s.call_era c) s.era)
    (fun now =>
      by_value (fun b => Round p
          (cond b s.mode (cond (atMost p.success_threshold (up s.successes)) Mode.closed s.mode))
          (cond b s.era (cond (atMost p.success_threshold (up s.successes)) (up s.era) s.era))
          (cond b s.probes (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) (down s.probes)))
          (cond b s.successes (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) (up s.successes)))
          (put k.same s.stage c Stage.outside) s.call_era
          (cond b s.flying (cond (atMost p.success_threshold (up s.successes)) none_of (remove k.same s.flying c))))
        (Mode.same s.mode Mode.closed)
        (fun closed => round_without k p s.mode s.era s.probes s.successes s.stage s.call_era s.flying c h
          (closed_is_no_round closed (s.stage c) (s.call_era c) s.era))
        (fun not_closed =>
          by_value (fun b => Round p (cond b Mode.closed s.mode) (cond b (up s.era) s.era)
              (cond b (Int.ofNat 0) (down s.probes)) (cond b (Int.ofNat 0) (up s.successes))
              (put k.same s.stage c Stage.outside) s.call_era (cond b none_of (remove k.same s.flying c)))
            (atMost p.success_threshold (up s.successes))
            (fun _ => fresh_round k p some Mode.closed s.era (put k.same s.stage c Stage.outside) s.call_era h.1 rfl)
            (fun _ => round_after k p s.mode s.era s.probes s.successes (up s.successes) s.stage s.call_era s.flying c h
              (current_is_probe p s.mode s.era s.probes s.successes s.stage s.call_era s.flying c h not_closed may now)
              may now
              (Eq.subst (motive := fun x => atMost x p.permitted_probes = true)
                (Eq.symm (sum_moved s.probes s.successes)) h.2.2.2.2.1)
              (atMost_trans h.2.2.2.2.2 (atMost_up s.successes)))))
    (fun stale => round_without k p s.mode s.era s.probes s.successes s.stage s.call_era s.flying c h
      (stale_is_no_round s.mode (s.stage c) stale))

theorem fail_keeps_order {Call : Type} (k : Alike Call) (p : Params)
    (some : atMost (Int.ofNat 1) p.permitted_probes = true) (s : State Call) (c : Call) (h : Orderly p s) :
    Orderly p (fail_next k p s c) :=
  by_value (fun b => Round p
      (cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold)) s.mode
        Mode.open_) s.mode)
      (cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold)) s.era
        (up s.era)) s.era)
      (cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold)) s.probes
        (Int.ofNat 0)) s.probes)
      (cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold)) s.successes
        (Int.ofNat 0)) s.successes)
      (put k.same s.stage c Stage.outside) s.call_era
      (cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold)) s.flying
        none_of) s.flying))
    (sameInt (s.call_era c) s.era)
    (fun _ =>
      by_value (fun b => Round p (cond b s.mode Mode.open_) (cond b s.era (up s.era))
          (cond b s.probes (Int.ofNat 0)) (cond b s.successes (Int.ofNat 0))
          (put k.same s.stage c Stage.outside) s.call_era (cond b s.flying none_of))
        (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        (fun closed => round_without k p s.mode s.era s.probes s.successes s.stage s.call_era s.flying c h
          (closed_is_no_round (first_of closed) (s.stage c) (s.call_era c) s.era))
        (fun _ => fresh_round k p some Mode.open_ s.era (put k.same s.stage c Stage.outside) s.call_era h.1 rfl))
    (fun stale => round_without k p s.mode s.era s.probes s.successes s.stage s.call_era s.flying c h
      (stale_is_no_round s.mode (s.stage c) stale))

theorem cancel_keeps_order {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (h : Orderly p s)
    (may : cancel_allowed k p s c = true) : Orderly p (cancel_next k p s c) :=
  by_value (fun b => Round p s.mode s.era (cond b (down s.probes) s.probes) s.successes
      (put k.same s.stage c Stage.outside) s.call_era (cond b (remove k.same s.flying c) s.flying))
    (and (sameInt (s.call_era c) s.era) (Mode.same s.mode Mode.half_open))
    (fun yes => round_after k p s.mode s.era s.probes s.successes s.successes s.stage s.call_era s.flying c h
      (second_of yes) may (first_of yes)
      (Eq.subst (motive := fun x => atMost x p.permitted_probes = true) (Eq.symm (sum_down s.probes s.successes))
        (atMost_trans (atMost_down (plus s.probes s.successes)) h.2.2.2.2.1))
      h.2.2.2.2.2)
    (fun no => round_without k p s.mode s.era s.probes s.successes s.stage s.call_era s.flying c h
      (refuted (fun yes => clash (both (second_of (second_of yes)) (first_of yes)) no)))

theorem event_keeps_order {Call : Type} (k : Alike Call) (p : Params)
    (some : atMost (Int.ofNat 1) p.permitted_probes = true) (s : State Call) (h : Orderly p s) :
    ∀ e : Event Call, allowed k p s e → Orderly p (next k p s e)
  | Event.admit c, may => admit_keeps_order k p s c h may
  | Event.probe c, _ => probe_keeps_order k p some s c h
  | Event.probe_too c, may => probe_too_keeps_order k p s c h may
  | Event.reject _, _ => h
  | Event.succeed c, may => succeed_keeps_order k p some s c h may
  | Event.fail c, _ => fail_keeps_order k p some s c h
  | Event.cancel c, may => cancel_keeps_order k p s c h may
  | Event.tick _, _ => h

theorem run_is_orderly {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p) (es : List (Event Call))
    (legal : Legal k p es (initial p)) : Orderly p (run k p es (initial p)) :=
  run_keeps k p (Orderly p) (fun s e h may => event_keeps_order k p sound.2.1 s h e may) es (initial p)
    ⟨fun _ => rfl, fun _ => rfl, fun _ => rfl, rfl, atMost_trans (atMost_up (Int.ofNat 0)) sound.2.1, rfl⟩ legal

/-- The bound on probes: whatever happens, the probes of an era in flight never pass the permitted number. -/
theorem machine_bounds_probes {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p)
    (es : List (Event Call)) (legal : Legal k p es (initial p)) : probe_bound k p (run k p es (initial p)) :=
  have h : Orderly p (run k p es (initial p)) := run_is_orderly k p sound es legal
  Eq.subst (motive := fun x => atMost x p.permitted_probes = true) h.2.2.2.1
    (atMost_trans (sum_grows (run k p es (initial p)).probes (run k p es (initial p)).successes h.2.2.2.2.2)
      h.2.2.2.2.1)

/-- The counter of probes is the number of probes in flight, after every trace. -/
theorem machine_counts_probes {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p)
    (es : List (Event Call)) (legal : Legal k p es (initial p)) : probes_are_counted k p (run k p es (initial p)) :=
  (run_is_orderly k p sound es legal).2.2.2

/-- No call in flight is of an era to come. -/
theorem machine_eras_are_past {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p)
    (es : List (Event Call)) (legal : Legal k p es (initial p)) : eras_are_past k p (run k p es (initial p)) :=
  (run_is_orderly k p sound es legal).1

/-- While the breaker is open no call of its era is in flight. -/
theorem machine_open_is_isolated {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p)
    (es : List (Event Call)) (legal : Legal k p es (initial p)) : open_is_isolated k p (run k p es (initial p)) :=
  fun is_open c current => clash
    (both (Eq.subst (motive := fun x => Mode.same x Mode.open_ = true) (Eq.symm is_open) rfl) current)
    ((run_is_orderly k p sound es legal).2.1 c)

-- separation -----------------------------------------------------------------------------------------------------------

theorem turned_away : (true = true) ↔ ¬ ((false = true) ∨ (false = true) ∨ (false = true)) :=
  ⟨fun _ => fun h => Or.elim h (fun h => never h) (fun h => Or.elim h (fun h => never h) (fun h => never h)),
    fun _ => rfl⟩

theorem let_in {b c : Prop} : (false = true) ↔ ¬ ((true = true) ∨ b ∨ c) :=
  ⟨fun h => never h, fun no => False.elim (no (Or.inl rfl))⟩

theorem probes_first {a c : Prop} : (false = true) ↔ ¬ (a ∨ (true = true) ∨ c) :=
  ⟨fun h => never h, fun no => False.elim (no (Or.inr (Or.inl rfl)))⟩

theorem probes_too {a b : Prop} : (false = true) ↔ ¬ (a ∨ b ∨ (true = true)) :=
  ⟨fun h => never h, fun no => False.elim (no (Or.inr (Or.inr rfl)))⟩

/-- One way only, over what decides it: the mode, whether the pause is over, whether the round is full. -/
theorem ways : ∀ (mode : Mode) (over full : Bool),
    (and (not (Mode.same mode Mode.closed)) (and (not over) (or (Mode.same mode Mode.open_) full)) = true) ↔
      ¬ ((Mode.same mode Mode.closed = true) ∨ (and (not (Mode.same mode Mode.closed)) over = true) ∨
        (and (Mode.same mode Mode.half_open) (and (not over) (not full)) = true))
  | Mode.closed, _, _ => let_in
  | Mode.open_, true, _ => probes_first
  | Mode.open_, false, _ => turned_away
  | Mode.half_open, true, _ => probes_first
  | Mode.half_open, false, true => turned_away
  | Mode.half_open, false, false => probes_too

/-- Separation: a call that arrives goes to the backend or is turned away, one of them always, never both. -/
theorem machine_one_way_only {Call : Type} (k : Alike Call) (p : Params) (s : State Call) : one_way_only k p s :=
  fun c outside =>
    have decided : (and true (and (not (Mode.same s.mode Mode.closed)) (and (below s.now s.until_)
          (or (Mode.same s.mode Mode.open_) (atMost p.permitted_probes (plus s.probes s.successes))))) = true) ↔
        ¬ ((and true (Mode.same s.mode Mode.closed) = true) ∨ (and true (due k p s) = true) ∨
          (and true (and (Mode.same s.mode Mode.half_open) (and (below s.now s.until_)
            (below (plus s.probes s.successes) p.permitted_probes))) = true)) :=
      Eq.subst (motive := fun x => (and true (and (not (Mode.same s.mode Mode.closed)) (and x
          (or (Mode.same s.mode Mode.open_) (atMost p.permitted_probes (plus s.probes s.successes))))) = true) ↔
        ¬ ((and true (Mode.same s.mode Mode.closed) = true) ∨ (and true (due k p s) = true) ∨
          (and true (and (Mode.same s.mode Mode.half_open) (and x
            (below (plus s.probes s.successes) p.permitted_probes))) = true)))
        (Eq.symm (below_not s.now s.until_))
        (Eq.subst (motive := fun x => (and (not (Mode.same s.mode Mode.closed)) (and (not (atMost s.until_ s.now))
            (or (Mode.same s.mode Mode.open_) (atMost p.permitted_probes (plus s.probes s.successes)))) = true) ↔
          ¬ ((Mode.same s.mode Mode.closed = true) ∨ (due k p s = true) ∨
            (and (Mode.same s.mode Mode.half_open) (and (not (atMost s.until_ s.now)) x) = true)))
          (Eq.symm (below_not (plus s.probes s.successes) p.permitted_probes))
          (ways s.mode (atMost s.until_ s.now) (atMost p.permitted_probes (plus s.probes s.successes))))
    Eq.subst (motive := fun x => (and (Stage.same x Stage.outside) (and (not (Mode.same s.mode Mode.closed))
          (and (below s.now s.until_) (or (Mode.same s.mode Mode.open_)
            (atMost p.permitted_probes (plus s.probes s.successes))))) = true) ↔
        ¬ ((and (Stage.same x Stage.outside) (Mode.same s.mode Mode.closed) = true) ∨
          (and (Stage.same x Stage.outside) (due k p s) = true) ∨
          (and (Stage.same x Stage.outside) (and (Mode.same s.mode Mode.half_open) (and (below s.now s.until_)
            (below (plus s.probes s.successes) p.permitted_probes))) = true)))
      (Eq.symm outside) decided

-- eras -----------------------------------------------------------------------------------------------------------------

/-- Era isolation: the success of a call of another era changes nothing. -/
theorem machine_isolates_successes {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) :
    era_isolation k p s (succeed_next k p s c) c :=
  fun other =>
    have no : sameInt (s.call_era c) s.era = false := sameInt_differs other
    ⟨congrArg (fun b => cond b (cond (Mode.same s.mode Mode.closed) s.mode
        (cond (atMost p.success_threshold (up s.successes)) Mode.closed s.mode)) s.mode) no,
      congrArg (fun b => cond b (cond (Mode.same s.mode Mode.closed) s.era
        (cond (atMost p.success_threshold (up s.successes)) (up s.era) s.era)) s.era) no,
      congrArg (fun b => cond b (cond (Mode.same s.mode Mode.closed) (Int.ofNat 0)
        (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) s.failures)) s.failures) no,
      congrArg (fun b => cond b (cond (Mode.same s.mode Mode.closed) s.probes
        (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) (down s.probes))) s.probes) no,
      congrArg (fun b => cond b (cond (Mode.same s.mode Mode.closed) s.successes
        (cond (atMost p.success_threshold (up s.successes)) (Int.ofNat 0) (up s.successes))) s.successes) no,
      rfl⟩

/-- Era isolation: the failure of a call of another era changes nothing. -/
theorem machine_isolates_failures {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) :
    era_isolation k p s (fail_next k p s c) c :=
  fun other =>
    have no : sameInt (s.call_era c) s.era = false := sameInt_differs other
    ⟨congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        s.mode Mode.open_) s.mode) no,
      congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        s.era (up s.era)) s.era) no,
      congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        (up s.failures) (Int.ofNat 0)) s.failures) no,
      congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        s.probes (Int.ofNat 0)) s.probes) no,
      congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        s.successes (Int.ofNat 0)) s.successes) no,
      congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed) (below (up s.failures) p.failure_threshold))
        s.until_ (plus s.now p.recovery_time)) s.until_) no⟩

/-- Era isolation: the cancellation of a call of another era changes nothing. -/
theorem machine_isolates_cancellations {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) :
    era_isolation k p s (cancel_next k p s c) c :=
  fun other =>
    have no : and (sameInt (s.call_era c) s.era) (Mode.same s.mode Mode.half_open) = false :=
      fails_first (sameInt_differs other)
    ⟨rfl, rfl, rfl, skipped (down s.probes) s.probes no, rfl, rfl⟩

-- nothing passes while open --------------------------------------------------------------------------------------------

/-- Whether an event sends a call to the backend. -/
def reaches {Call : Type} : Event Call → Bool
  | Event.admit _ => true
  | Event.probe _ => true
  | Event.probe_too _ => true
  | _ => false

/-- How many calls of a trace reach the backend. -/
def reached {Call : Type} : List (Event Call) → Nat
  | [] => 0
  | e :: es => cond (reaches e) (Nat.succ (reached es)) (reached es)

/-- Whether the pause lasts throughout a trace. -/
def Pausing {Call : Type} (k : Alike Call) (p : Params) : List (Event Call) → State Call → Prop
  | [], _ => True
  | e :: es, s => (atMost s.until_ s.now = false) ∧ Pausing k p es (next k p s e)

theorem open_event {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (h : Orderly p s)
    (is_open : s.mode = Mode.open_) (pausing : atMost s.until_ s.now = false) :
    ∀ e : Event Call, allowed k p s e → (reaches e = false) ∧ ((next k p s e).mode = Mode.open_)
  | Event.admit _, may =>
    never (Eq.subst (motive := fun x => Mode.same x Mode.closed = true) is_open (second_of may))
  | Event.probe _, may => clash (second_of (second_of may)) pausing
  | Event.probe_too _, may =>
    never (Eq.subst (motive := fun x => Mode.same x Mode.half_open = true) is_open (first_of (second_of may)))
  | Event.reject _, _ => ⟨rfl, is_open⟩
  | Event.succeed c, may =>
    ⟨rfl, Eq.trans (congrArg (fun b => cond b (cond (Mode.same s.mode Mode.closed) s.mode
        (cond (atMost p.success_threshold (up s.successes)) Mode.closed s.mode)) s.mode)
      (refuted (fun now => clash (both (Eq.subst (motive := fun x => Mode.same x Mode.open_ = true) (Eq.symm is_open) rfl)
        (both may now)) (h.2.1 c)))) is_open⟩
  | Event.fail c, may =>
    ⟨rfl, Eq.trans (congrArg (fun b => cond b (cond (and (Mode.same s.mode Mode.closed)
        (below (up s.failures) p.failure_threshold)) s.mode Mode.open_) s.mode)
      (refuted (fun now => clash (both (Eq.subst (motive := fun x => Mode.same x Mode.open_ = true) (Eq.symm is_open) rfl)
        (both may now)) (h.2.1 c)))) is_open⟩
  | Event.cancel _, _ => ⟨rfl, is_open⟩
  | Event.tick _, _ => ⟨rfl, is_open⟩

theorem open_run {Call : Type} (k : Alike Call) (p : Params) (some : atMost (Int.ofNat 1) p.permitted_probes = true) :
    ∀ (es : List (Event Call)) (s : State Call), Orderly p s → s.mode = Mode.open_ → Legal k p es s →
      Pausing k p es s → reached es = 0
  | [], _, _, _, _, _ => rfl
  | e :: es, s, h, is_open, legal, pausing =>
    Eq.trans (skipped (Nat.succ (reached es)) (reached es) (open_event k p s h is_open pausing.1 e legal.1).1)
      (open_run k p some es (next k p s e) (event_keeps_order k p some s h e legal.1)
        (open_event k p s h is_open pausing.1 e legal.1).2 legal.2 pausing.2)

/-- While the breaker is open no call reaches the backend: however long a trace, until the pause is over. -/
theorem machine_open_reaches_nothing {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p)
    (before after : List (Event Call)) (legal : Legal k p before (initial p))
    (is_open : (run k p before (initial p)).mode = Mode.open_) (goes_on : Legal k p after (run k p before (initial p)))
    (pausing : Pausing k p after (run k p before (initial p))) : reached after = 0 :=
  open_run k p sound.2.1 after (run k p before (initial p)) (run_is_orderly k p sound before legal) is_open goes_on
    pausing

end Certify.CircuitBreaker
