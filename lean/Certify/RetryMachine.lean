import Certify.Machines.Retry

/-! The retry machine of the specification: what holds after every legal trace, of any length, for all parameters. -/

namespace Certify.Retry

/-- What the number of tries says of one call: at most `n`, one at least while it is live, fewer than `n` in a pause. -/
def Tried (n : Int) (stage : Stage) (tries : Int) : Prop :=
  ((atMost (Int.ofNat 0) tries = true) ∧ (atMost tries n = true)) ∧
  ((or (Stage.same stage Stage.trying) (Stage.same stage Stage.pausing) = true) → (atMost (Int.ofNat 1) tries = true)) ∧
  ((stage = Stage.pausing) → (below tries n = true))

theorem trying_is_no_pause {q : Prop} (h : Stage.trying = Stage.pausing) : q := nomatch h

theorem done_is_no_pause {q : Prop} (h : Stage.done = Stage.pausing) : q := nomatch h

theorem idle_is_no_pause {q : Prop} (h : Stage.idle = Stage.pausing) : q := nomatch h

theorem tried_begun {n : Int} (some : atMost (Int.ofNat 1) n = true) : Tried n Stage.trying (Int.ofNat 1) :=
  ⟨⟨rfl, some⟩, fun _ => rfl, fun h => trying_is_no_pause h⟩

theorem tried_ended {n tries : Int} {stage : Stage} (h : Tried n stage tries) : Tried n Stage.done tries :=
  ⟨h.1, fun live => never live, fun h => done_is_no_pause h⟩

theorem tried_paused {n tries : Int} (h : Tried n Stage.trying tries) (left : below tries n = true) :
    Tried n Stage.pausing tries :=
  ⟨h.1, fun _ => h.2.1 rfl, fun _ => left⟩

theorem tried_again {n tries : Int} (h : Tried n Stage.pausing tries) : Tried n Stage.trying (up tries) :=
  ⟨⟨atMost_trans h.1.1 (atMost_up tries), h.2.2 rfl⟩, fun _ => atMost_trans (h.2.1 rfl) (atMost_up tries),
    fun h => trying_is_no_pause h⟩

/-- What is known of a call at its stage, where the stage was tested. -/
theorem tried_at {n tries : Int} {stage known : Stage} (h : Tried n stage tries) (test : Stage.same stage known = true) :
    Tried n known tries :=
  Eq.subst (motive := fun x => Tried n x tries) (Stage.known stage known test) h

theorem settled_tries {Call : Type} (k : Alike Call) (n : Int) (stage : Call → Stage) (tries : Call → Int) (c : Call)
    (again more : Bool) (h : ∀ d : Call, Tried n (stage d) (tries d))
    (trying : Stage.same (stage c) Stage.trying = true) (left : again = true → below (tries c) n = true) (d : Call) :
    Tried n (cond (and again more) (put k.same stage c Stage.pausing) (put k.same stage c Stage.done) d) (tries d) :=
  chosen (fun (m : Call → Stage) => Tried n (m d) (tries d)) (and again more)
    (fun yes => put_holds k (fun y x => Tried n x (tries y)) stage c Stage.pausing
      (tried_paused (tried_at (h c) trying) (left (first_of yes))) (fun y _ => h y) d)
    (fun _ => put_holds k (fun y x => Tried n x (tries y)) stage c Stage.done (tried_ended (h c)) (fun y _ => h y) d)

theorem ended_tries {Call : Type} (k : Alike Call) (n : Int) (stage : Call → Stage) (tries : Call → Int) (c : Call)
    (h : ∀ d : Call, Tried n (stage d) (tries d)) (d : Call) : Tried n (put k.same stage c Stage.done d) (tries d) :=
  put_holds k (fun y x => Tried n x (tries y)) stage c Stage.done (tried_ended (h c)) (fun y _ => h y) d

/-- A call that may be retried has tries left. -/
theorem retry_has_tries {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call)
    (h : may_retry k p s c = true) : below (s.tries c) p.attempts = true :=
  first_of (second_of (second_of h))

theorem event_bounds_tries {Call : Type} (k : Alike Call) (p : Params) (some : atMost (Int.ofNat 1) p.attempts = true)
    (s : State Call) (h : tries_are_bounded k p s) :
    ∀ e : Event Call, allowed k p s e → tries_are_bounded k p (next k p s e)
  | Event.begin c _, _ =>
    put_both k (fun _ x n => Tried p.attempts x n) s.stage s.tries c Stage.trying (Int.ofNat 1) (tried_begun some)
      (fun y _ => h y)
  | Event.backend_answers _ _, _ => h
  | Event.succeed c, _ => ended_tries k p.attempts s.stage s.tries c h
  | Event.settle c delay, may =>
    settled_tries k p.attempts s.stage s.tries c (may_retry k p s c) (below delay (left k p s c)) h (first_of may)
      (retry_has_tries k p s c)
  | Event.settle_as_asked c delay, may =>
    settled_tries k p.attempts s.stage s.tries c (may_retry k p s c) (below delay (left k p s c)) h (first_of may)
      (retry_has_tries k p s c)
  | Event.resume c, may =>
    put_both k (fun _ x n => Tried p.attempts x n) s.stage s.tries c Stage.trying (up (s.tries c))
      (tried_again (tried_at (h c) (first_of may))) (fun y _ => h y)
  | Event.expire c, _ => ended_tries k p.attempts s.stage s.tries c h
  | Event.cancel c, _ => ended_tries k p.attempts s.stage s.tries c h
  | Event.tick _, _ => h

/-- Whatever happens, no call is tried more often than allowed, and none pauses without a try left. -/
theorem machine_bounds_tries {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p)
    (es : List (Event Call)) (legal : Legal k p es (initial p)) : tries_are_bounded k p (run k p es (initial p)) :=
  run_keeps k p (tries_are_bounded k p) (fun s e h may => event_bounds_tries k p sound.1 s h e may) es (initial p)
    (fun _ => ⟨⟨rfl, atMost_trans (atMost_up (Int.ofNat 0)) sound.1⟩, fun h => never h, fun h => idle_is_no_pause h⟩)
    legal

theorem pauses_if {Call : Type} (k : Alike Call) (m : Call → Stage) (c : Call) :
    ∀ b : Bool, cond b (put k.same m c Stage.pausing) (put k.same m c Stage.done) c = Stage.pausing → b = true
  | true, _ => rfl
  | false, h => done_is_no_pause (Eq.trans (Eq.symm (put_here k m c Stage.done)) h)

theorem pauses_then {Call : Type} (k : Alike Call) (m : Call → Stage) (c : Call) :
    ∀ b : Bool, b = true → cond b (put k.same m c Stage.pausing) (put k.same m c Stage.done) c = Stage.pausing
  | true, _ => put_here k m c Stage.pausing
  | false, h => never h

theorem ends_then {Call : Type} (k : Alike Call) (m : Call → Stage) (c : Call) :
    ∀ b : Bool, (cond b (put k.same m c Stage.pausing) (put k.same m c Stage.done) c = Stage.pausing → False) →
      b = false
  | true, h => False.elim (h (put_here k m c Stage.pausing))
  | false, _ => rfl

theorem retry_law {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (delay : Int) :
    (cond (and (may_retry k p s c) (below delay (left k p s c))) (put k.same s.stage c Stage.pausing)
      (put k.same s.stage c Stage.done) c = Stage.pausing) ↔
    ((s.answer c = Answer.transient) ∧ (s.idempotent c = true) ∧ (below (s.tries c) p.attempts = true) ∧
      (below delay (left k p s c) = true) ∧ (affordable k p s = true)) :=
  ⟨fun pauses =>
      have b : and (may_retry k p s c) (below delay (left k p s c)) = true := pauses_if k s.stage c
        (and (may_retry k p s c) (below delay (left k p s c))) pauses
      have may : may_retry k p s c = true := first_of b
      ⟨Answer.known (s.answer c) Answer.transient (first_of may), first_of (second_of may), first_of (second_of (second_of may)),
        second_of b, second_of (second_of (second_of may))⟩,
    fun h =>
      pauses_then k s.stage c (and (may_retry k p s c) (below delay (left k p s c)))
        (both (both (Eq.subst (motive := fun a => Answer.same a Answer.transient = true) (Eq.symm h.1) rfl)
          (both h.2.1 (both h.2.2.1 h.2.2.2.2))) h.2.2.2.1)⟩

/-- The retry law: a failed try is followed by a pause exactly if the failure may pass, the call may be repeated, tries
and budget are left, and the pause ends in time. -/
theorem machine_retries_exactly {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (delay : Int) :
    retries_exactly k p s (settle_next k p s c delay) c delay :=
  retry_law k p s c delay

/-- The retry law holds where the backend says how long to wait, too. -/
theorem machine_retries_exactly_as_asked {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call)
    (delay : Int) : retries_exactly k p s (settle_as_asked_next k p s c delay) c delay :=
  retry_law k p s c delay

/-- The first success is the result, and ends the call. -/
theorem machine_success_ends {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call)
    (may : succeed_allowed k p s c = true) : success_ends_the_call k p s (succeed_next k p s c) c :=
  ⟨Stage.known (s.stage c) Stage.trying (first_of may), Answer.known (s.answer c) Answer.success (second_of may),
    put_here k s.stage c Stage.done, put_here k s.result c Result.succeeded⟩

/-- A failure that is not retried is the result, unchanged. -/
theorem machine_failure_surfaces {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (delay : Int) :
    failure_surfaces k p s (settle_next k p s c delay) c delay :=
  ⟨put_here k s.last_failure c (s.answer c), fun stays =>
    have no : and (may_retry k p s c) (below delay (left k p s c)) = false :=
      ends_then k s.stage c (and (may_retry k p s c) (below delay (left k p s c))) stays
    ⟨Eq.trans (congrFun (skipped (put k.same s.stage c Stage.pausing) (put k.same s.stage c Stage.done) no) c)
        (put_here k s.stage c Stage.done),
      Eq.trans (congrFun (skipped s.result (put k.same s.result c Result.failed) no) c)
        (put_here k s.result c Result.failed),
      Eq.trans (congrFun (skipped s.surfaced (put k.same s.surfaced c (s.answer c)) no) c)
        (put_here k s.surfaced c (s.answer c)),
      congrFun (skipped (put k.same s.wake c (plus s.now delay)) s.wake no) c,
      congrFun (skipped (put k.same s.backoff c (smaller p.cap (times (Int.ofNat 2) (s.backoff c)))) s.backoff no) c⟩⟩

/-- What is known of a call that was tried again, or is about to be: it may be repeated. -/
def Repeated (stage : Stage) (tries : Int) (idempotent : Bool) : Prop :=
  ((or (Stage.same stage Stage.trying) (Stage.same stage Stage.pausing) = true) ∧
    ((below (Int.ofNat 1) tries = true) ∨ (stage = Stage.pausing))) → (idempotent = true)

theorem repeated_at {tries : Int} {idempotent : Bool} {stage : Stage} (h : Repeated stage tries idempotent)
    (test : Stage.same stage Stage.pausing = true) : idempotent = true :=
  have at_pause : Repeated Stage.pausing tries idempotent :=
    Eq.subst (motive := fun x => Repeated x tries idempotent) (Stage.known stage Stage.pausing test) h
  at_pause ⟨rfl, Or.inr rfl⟩

theorem ended_repeated {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call)
    (h : retried_only_if_idempotent k p s) (d : Call) : Repeated (put k.same s.stage c Stage.done d) (s.tries d) (s.idempotent d) :=
  by_value (fun b => Repeated (cond b Stage.done (s.stage d)) (s.tries d) (s.idempotent d)) (k.same d c)
    (fun _ => fun live => never live.1) (fun _ => h d)

theorem settled_repeated {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (more : Bool)
    (h : retried_only_if_idempotent k p s) (d : Call) :
    Repeated (cond (and (may_retry k p s c) more) (put k.same s.stage c Stage.pausing) (put k.same s.stage c Stage.done) d)
      (s.tries d) (s.idempotent d) :=
  chosen (fun (m : Call → Stage) => Repeated (m d) (s.tries d) (s.idempotent d)) (and (may_retry k p s c) more)
    (fun yes => put_holds k (fun y x => Repeated x (s.tries y) (s.idempotent y)) s.stage c Stage.pausing
      (fun _ => first_of (second_of (first_of yes))) (fun y _ => h y) d)
    (fun _ => ended_repeated k p s c h d)

theorem event_repeats {Call : Type} (k : Alike Call) (p : Params) (s : State Call)
    (h : retried_only_if_idempotent k p s) :
    ∀ e : Event Call, allowed k p s e → retried_only_if_idempotent k p (next k p s e)
  | Event.begin c r, _ => fun d =>
    by_value (fun b => Repeated (cond b Stage.trying (s.stage d)) (cond b (Int.ofNat 1) (s.tries d))
        (cond b r (s.idempotent d))) (k.same d c)
      (fun _ => fun again => Or.elim again.2 (fun more => never more) (fun pause => trying_is_no_pause pause))
      (fun _ => h d)
  | Event.backend_answers _ _, _ => h
  | Event.succeed c, _ => ended_repeated k p s c h
  | Event.settle c delay, _ => settled_repeated k p s c (below delay (left k p s c)) h
  | Event.settle_as_asked c delay, _ => settled_repeated k p s c (below delay (left k p s c)) h
  | Event.resume c, may =>
    put_both k (fun y x n => Repeated x n (s.idempotent y)) s.stage s.tries c Stage.trying (up (s.tries c))
      (fun _ => repeated_at (h c) (first_of may)) (fun y _ => h y)
  | Event.expire c, _ => ended_repeated k p s c h
  | Event.cancel c, _ => ended_repeated k p s c h
  | Event.tick _, _ => h

/-- Whatever happens, what is tried twice may be repeated. -/
theorem machine_repeats_only_idempotent {Call : Type} (k : Alike Call) (p : Params) (es : List (Event Call))
    (legal : Legal k p es (initial p)) : retried_only_if_idempotent k p (run k p es (initial p)) :=
  run_keeps k p (retried_only_if_idempotent k p) (fun s e h may => event_repeats k p s h e may) es (initial p)
    (fun _ => fun live => never live.1) legal

/-- Whether an event begins a call anew. -/
def begins {Call : Type} (k : Alike Call) (c : Call) : Event Call → Bool
  | Event.begin d _ => k.same c d
  | _ => false

/-- Whether an event sends a try of a call to the backend. -/
def sends {Call : Type} (k : Alike Call) (c : Call) : Event Call → Bool
  | Event.begin d _ => k.same c d
  | Event.resume d => k.same c d
  | _ => false

/-- Whether a trace stays within one logical call: it does not begin anew. -/
def Within {Call : Type} (k : Alike Call) (c : Call) : List (Event Call) → Prop
  | [] => True
  | e :: es => (begins k c e = false) ∧ Within k c es

/-- What a trace does to the backend, when each try of the call has this effect. -/
def effect {Call σ : Type} (k : Alike Call) (c : Call) (f : σ → σ) : List (Event Call) → σ → σ
  | [], x => x
  | e :: es, x => effect k c f es (cond (sends k c e) (f x) x)

theorem sends_repeatable {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call)
    (h : retried_only_if_idempotent k p s) :
    ∀ e : Event Call, allowed k p s e → begins k c e = false → sends k c e = true → s.idempotent c = true
  | Event.begin _ _, _, no, yes => clash yes no
  | Event.backend_answers _ _, _, _, yes => never yes
  | Event.succeed _, _, _, yes => never yes
  | Event.settle _ _, _, _, yes => never yes
  | Event.settle_as_asked _ _, _, _, yes => never yes
  | Event.resume d, may, _, yes =>
    Eq.subst (motive := fun y => s.idempotent y = true) (Eq.symm (k.known c d yes)) (repeated_at (h d) (first_of may))
  | Event.expire _, _, _, yes => never yes
  | Event.cancel _, _, _, yes => never yes
  | Event.tick _, _, _, yes => never yes

theorem mark_stays {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) :
    ∀ e : Event Call, begins k c e = false → (next k p s e).idempotent c = s.idempotent c
  | Event.begin d r, no => put_elsewhere k s.idempotent d c r no
  | Event.backend_answers _ _, _ => rfl
  | Event.succeed _, _ => rfl
  | Event.settle _ _, _ => rfl
  | Event.settle_as_asked _ _, _ => rfl
  | Event.resume _, _ => rfl
  | Event.expire _, _ => rfl
  | Event.cancel _, _ => rfl
  | Event.tick _, _ => rfl

theorem later_tries_add_nothing {Call σ : Type} (k : Alike Call) (p : Params) (c : Call) (f : σ → σ) (x : σ) :
    ∀ (es : List (Event Call)) (s : State Call), (s.idempotent c = true → f (f x) = f x) →
      retried_only_if_idempotent k p s → Legal k p es s → Within k c es → effect k c f es (f x) = f x
  | [], _, _, _, _, _ => rfl
  | e :: es, s, idem, h, legal, within =>
    have rest : effect k c f es (f x) = f x :=
      later_tries_add_nothing k p c f x es (next k p s e)
        (fun mark => idem (Eq.trans (Eq.symm (mark_stays k p s c e within.1)) mark))
        (event_repeats k p s h e legal.1) legal.2 within.2
    by_value (fun b => b = sends k c e → effect k c f es (cond b (f (f x)) (f x)) = f x) (sends k c e)
      (fun yes => fun _ =>
        Eq.trans (congrArg (effect k c f es) (idem (sends_repeatable k p s c h e legal.1 within.1 yes))) rest)
      (fun _ => fun _ => rest) rfl

/-- Retrying an idempotent operation does what one application does: whatever happens in a call that may be repeated
only if that is so, the backend is left as its first try left it. -/
theorem machine_retry_is_one_application {Call σ : Type} (k : Alike Call) (p : Params) (c : Call) (repeatable : Bool)
    (f : σ → σ) (x : σ) (idem : repeatable = true → f (f x) = f x) (before after : List (Event Call))
    (legal : Legal k p before (initial p))
    (begun : begin_allowed k p (run k p before (initial p)) c repeatable = true)
    (goes_on : Legal k p after (begin_next k p (run k p before (initial p)) c repeatable))
    (within : Within k c after) : effect k c f (Event.begin c repeatable :: after) x = f x :=
  have first_try : cond (sends k c (Event.begin c repeatable)) (f x) x = f x := taken (f x) x (k.refl c)
  have others : effect k c f after (f x) = f x :=
    later_tries_add_nothing k p c f x after (begin_next k p (run k p before (initial p)) c repeatable)
      (fun mark => idem (Eq.trans (Eq.symm (put_here k (run k p before (initial p)).idempotent c repeatable)) mark))
      (event_repeats k p (run k p before (initial p)) (machine_repeats_only_idempotent k p before legal)
        (Event.begin c repeatable) begun)
      goes_on within
  Eq.trans (congrArg (effect k c f after) first_try) others

-- termination ----------------------------------------------------------------------------------------------------------

/-- Three times a number. -/
def triple : Nat → Nat
  | 0 => 0
  | n + 1 => Nat.succ (Nat.succ (Nat.succ (triple n)))

/-- How many steps of its own a call has before it at most, with so many tries left. -/
def cost : Stage → Answer → Nat → Nat
  | Stage.idle, _, _ => 0
  | Stage.trying, Answer.unanswered, n => Nat.succ (Nat.succ (triple n))
  | Stage.trying, _, n => Nat.succ (triple n)
  | Stage.pausing, _, n => triple n
  | Stage.done, _, _ => 0

/-- Whether an event is a step of a call, its beginning left out. -/
def steps {Call : Type} (k : Alike Call) (c : Call) : Event Call → Bool
  | Event.begin _ _ => false
  | Event.backend_answers d _ => k.same c d
  | Event.succeed d => k.same c d
  | Event.settle d _ => k.same c d
  | Event.settle_as_asked d _ => k.same c d
  | Event.resume d => k.same c d
  | Event.expire d => k.same c d
  | Event.cancel d => k.same c d
  | Event.tick _ => false

/-- One more if the event counts. -/
def counted (counts : Bool) (n : Nat) : Nat := cond counts (Nat.succ n) n

/-- How many steps of a call a trace has. -/
def length {Call : Type} (k : Alike Call) (c : Call) : List (Event Call) → Nat
  | [] => 0
  | e :: es => counted (steps k c e) (length k c es)

theorem counted_below {n m : Nat} (h : n ≤ m) : ∀ b : Bool, counted b n ≤ counted b m
  | true => succ_below h
  | false => h

/-- What a step must leave: tries left, and room for one step more than what is left to come. -/
def Room (limit tries : Int) (stage : Stage) (answer : Answer) (counts : Bool) (room : Nat) : Prop :=
  ∃ n : Nat, (raise tries n = limit) ∧ (counted counts (cost stage answer n) ≤ room)

theorem failed_cost (n : Nat) : ∀ answer : Answer,
    or (Answer.same answer Answer.transient) (Answer.same answer Answer.permanent) = true →
      cost Stage.trying answer n = Nat.succ (triple n)
  | Answer.unanswered, h => never h
  | Answer.success, h => never h
  | Answer.transient, _ => rfl
  | Answer.permanent, _ => rfl

theorem answered_cost (n : Nat) : ∀ answer : Answer, not (Answer.same answer Answer.unanswered) = true →
    Nat.succ (cost Stage.trying answer n) ≤ Nat.succ (Nat.succ (triple n))
  | Answer.unanswered, h => never h
  | Answer.success, _ => Nat.le.refl
  | Answer.transient, _ => Nat.le.refl
  | Answer.permanent, _ => Nat.le.refl

theorem trying_cost (n : Nat) : ∀ answer : Answer, 1 ≤ cost Stage.trying answer n
  | Answer.unanswered => succ_below (zero_below (Nat.succ (triple n)))
  | Answer.success => succ_below (zero_below (triple n))
  | Answer.transient => succ_below (zero_below (triple n))
  | Answer.permanent => succ_below (zero_below (triple n))

/-- A call that has a try left has a number of tries left that is not zero. -/
theorem has_room {tries limit : Int} : ∀ n : Nat, raise tries n = limit → below tries limit = true →
    ∃ m : Nat, n = Nat.succ m
  | 0, same, less => False.elim (below_irrefl tries (Eq.subst (motive := fun x => below tries x = true) (Eq.symm same) less))
  | m + 1, _, _ => ⟨m, rfl⟩

theorem pause_cost {tries limit : Int} (n : Nat) (same : raise tries n = limit) (less : below tries limit = true)
    (answer : Answer) : 1 ≤ cost Stage.pausing answer n :=
  Exists.elim (has_room n same less) (fun m is =>
    Eq.subst (motive := fun x => 1 ≤ triple x) (Eq.symm is) (succ_below (zero_below (Nat.succ (Nat.succ (triple m))))))

/-- What a live call has before it is at least one step. -/
theorem live_cost {tries limit : Int} (n : Nat) (same : raise tries n = limit) (answer : Answer) : ∀ stage : Stage,
    Tried limit stage tries → or (Stage.same stage Stage.trying) (Stage.same stage Stage.pausing) = true →
      1 ≤ cost stage answer n
  | Stage.idle, _, h => never h
  | Stage.trying, _, _ => trying_cost n answer
  | Stage.pausing, h, _ => pause_cost n same (h.2.2 rfl) answer
  | Stage.done, _, h => never h

theorem room_ends {limit tries : Int} {n : Nat} {stage : Stage} {answer : Answer} (same : raise tries n = limit)
    (h : Tried limit stage tries) (live : or (Stage.same stage Stage.trying) (Stage.same stage Stage.pausing) = true) :
    Room limit tries Stage.done answer true (cost stage answer n) :=
  ⟨n, same, live_cost n same answer stage h live⟩

theorem room_pauses {limit tries : Int} {n : Nat} {stage : Stage} {answer : Answer} (same : raise tries n = limit)
    (trying : Stage.same stage Stage.trying = true)
    (failed : or (Answer.same answer Answer.transient) (Answer.same answer Answer.permanent) = true) :
    Room limit tries Stage.pausing answer true (cost stage answer n) :=
  Eq.subst (motive := fun x => Room limit tries Stage.pausing answer true (cost x answer n))
    (Eq.symm (Stage.known stage Stage.trying trying))
    (Eq.subst (motive := fun x => Room limit tries Stage.pausing answer true x) (Eq.symm (failed_cost n answer failed))
      ⟨n, same, Nat.le.refl⟩)

theorem room_answers {limit tries : Int} {n : Nat} {stage : Stage} {answer said : Answer} (same : raise tries n = limit)
    (trying : Stage.same stage Stage.trying = true) (waits : Answer.same answer Answer.unanswered = true)
    (says : not (Answer.same said Answer.unanswered) = true) :
    Room limit tries stage said true (cost stage answer n) :=
  Eq.subst (motive := fun x => Room limit tries x said true (cost x answer n))
    (Eq.symm (Stage.known stage Stage.trying trying))
    (Eq.subst (motive := fun x => Room limit tries Stage.trying said true (cost Stage.trying x n))
      (Eq.symm (Answer.known answer Answer.unanswered waits)) ⟨n, same, answered_cost n said says⟩)

theorem room_resumes {limit tries : Int} {n : Nat} {stage : Stage} {answer : Answer} (same : raise tries n = limit)
    (pausing : Stage.same stage Stage.pausing = true) (h : Tried limit stage tries) :
    Room limit (up tries) Stage.trying Answer.unanswered true (cost stage answer n) :=
  Eq.subst (motive := fun x => Room limit (up tries) Stage.trying Answer.unanswered true (cost x answer n))
    (Eq.symm (Stage.known stage Stage.pausing pausing))
    (Exists.elim (has_room n same ((tried_at h pausing).2.2 rfl)) (fun m is =>
      Eq.subst (motive := fun x => Room limit (up tries) Stage.trying Answer.unanswered true (triple x)) (Eq.symm is)
        ⟨m, Eq.trans (raise_up tries m) (Eq.subst (motive := fun x => raise tries x = limit) is same), Nat.le.refl⟩))

/-- What is known of a call is known of the call that is found equal to it. -/
theorem moved {Call : Type} (k : Alike Call) {c d : Call} (yes : k.same c d = true) (P : Call → Prop) (h : P d) : P c :=
  Eq.subst (motive := P) (Eq.symm (k.known c d yes)) h

theorem end_room {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c d : Call) (n : Nat)
    (bounded : tries_are_bounded k p s) (same : raise (s.tries c) n = p.attempts)
    (live : or (Stage.same (s.stage d) Stage.trying) (Stage.same (s.stage d) Stage.pausing) = true) :
    Room p.attempts (s.tries c) (put k.same s.stage d Stage.done c) (s.answer c) (k.same c d)
      (cost (s.stage c) (s.answer c) n) :=
  by_value (fun b => Room p.attempts (s.tries c) (cond b Stage.done (s.stage c)) (s.answer c) b
      (cost (s.stage c) (s.answer c) n)) (k.same c d)
    (fun yes => room_ends same (bounded c) (moved k yes (fun y =>
      or (Stage.same (s.stage y) Stage.trying) (Stage.same (s.stage y) Stage.pausing) = true) live))
    (fun _ => ⟨n, same, Nat.le.refl⟩)

theorem settle_room {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c d : Call) (n : Nat) (again : Bool)
    (bounded : tries_are_bounded k p s) (same : raise (s.tries c) n = p.attempts)
    (trying : Stage.same (s.stage d) Stage.trying = true)
    (failed : or (Answer.same (s.answer d) Answer.transient) (Answer.same (s.answer d) Answer.permanent) = true) :
    Room p.attempts (s.tries c) (cond again (put k.same s.stage d Stage.pausing) (put k.same s.stage d Stage.done) c)
      (s.answer c) (k.same c d) (cost (s.stage c) (s.answer c) n) :=
  chosen (fun (m : Call → Stage) => Room p.attempts (s.tries c) (m c) (s.answer c) (k.same c d)
      (cost (s.stage c) (s.answer c) n)) again
    (fun _ =>
      by_value (fun b => Room p.attempts (s.tries c) (cond b Stage.pausing (s.stage c)) (s.answer c) b
          (cost (s.stage c) (s.answer c) n)) (k.same c d)
        (fun yes => room_pauses same (moved k yes (fun y => Stage.same (s.stage y) Stage.trying = true) trying)
          (moved k yes (fun y =>
            or (Answer.same (s.answer y) Answer.transient) (Answer.same (s.answer y) Answer.permanent) = true) failed))
        (fun _ => ⟨n, same, Nat.le.refl⟩))
    (fun _ => end_room k p s c d n bounded same (one_first trying))

theorem event_room {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (n : Nat)
    (bounded : tries_are_bounded k p s) (same : raise (s.tries c) n = p.attempts) :
    ∀ e : Event Call, allowed k p s e → begins k c e = false →
      Room p.attempts ((next k p s e).tries c) ((next k p s e).stage c) ((next k p s e).answer c) (steps k c e)
        (cost (s.stage c) (s.answer c) n)
  | Event.begin d _, _, no =>
    by_value (fun b => Room p.attempts (cond b (Int.ofNat 1) (s.tries c)) (cond b Stage.trying (s.stage c))
        (cond b Answer.unanswered (s.answer c)) false (cost (s.stage c) (s.answer c) n)) (k.same c d)
      (fun yes => clash yes no) (fun _ => ⟨n, same, Nat.le.refl⟩)
  | Event.backend_answers d said, may, _ =>
    by_value (fun b => Room p.attempts (s.tries c) (s.stage c) (cond b said (s.answer c)) b
        (cost (s.stage c) (s.answer c) n)) (k.same c d)
      (fun yes => room_answers same (moved k yes (fun y => Stage.same (s.stage y) Stage.trying = true) (first_of may))
        (moved k yes (fun y => Answer.same (s.answer y) Answer.unanswered = true) (first_of (second_of may)))
        (second_of (second_of may)))
      (fun _ => ⟨n, same, Nat.le.refl⟩)
  | Event.succeed d, may, _ => end_room k p s c d n bounded same (one_first (first_of may))
  | Event.settle d delay, may, _ =>
    settle_room k p s c d n (and (may_retry k p s d) (below delay (left k p s d))) bounded same (first_of may)
      (first_of (second_of may))
  | Event.settle_as_asked d delay, may, _ =>
    settle_room k p s c d n (and (may_retry k p s d) (below delay (left k p s d))) bounded same (first_of may)
      (one_first (first_of (second_of may)))
  | Event.resume d, may, _ =>
    by_value (fun b => Room p.attempts (cond b (up (s.tries d)) (s.tries c)) (cond b Stage.trying (s.stage c))
        (cond b Answer.unanswered (s.answer c)) b (cost (s.stage c) (s.answer c) n)) (k.same c d)
      (fun yes => Eq.subst (motive := fun y => Room p.attempts (up (s.tries y)) Stage.trying Answer.unanswered true
          (cost (s.stage c) (s.answer c) n)) (k.known c d yes)
        (room_resumes same (moved k yes (fun y => Stage.same (s.stage y) Stage.pausing = true) (first_of may)) (bounded c)))
      (fun _ => ⟨n, same, Nat.le.refl⟩)
  | Event.expire d, may, _ => end_room k p s c d n bounded same (one_second (first_of may))
  | Event.cancel d, may, _ => end_room k p s c d n bounded same may
  | Event.tick _, _, _ => ⟨n, same, Nat.le.refl⟩

theorem steps_bounded {Call : Type} (k : Alike Call) (p : Params) (some : atMost (Int.ofNat 1) p.attempts = true)
    (c : Call) : ∀ (es : List (Event Call)) (s : State Call) (n : Nat), tries_are_bounded k p s →
      raise (s.tries c) n = p.attempts → Legal k p es s → Within k c es → length k c es ≤ cost (s.stage c) (s.answer c) n
  | [], s, n, _, _, _, _ => zero_below (cost (s.stage c) (s.answer c) n)
  | e :: es, s, n, bounded, same, legal, within =>
    Exists.elim (event_room k p s c n bounded same e legal.1 within.1) (fun m room =>
      below_trans (counted_below (steps_bounded k p some c es (next k p s e) m
        (event_bounds_tries k p some s bounded e legal.1) room.1 legal.2 within.2) (steps k c e)) room.2)

theorem raised_one : ∀ n : Nat, raise (Int.ofNat 1) n = Int.ofNat (n + 1)
  | 0 => rfl
  | n + 1 => congrArg up (raised_one n)

/-- Every call ends: with `n + 1` tries allowed it makes at most `3 * n + 2` steps of its own after its beginning,
whatever happens besides. -/
theorem machine_retry_ends {Call : Type} (k : Alike Call) (p : Params) (sound : Params.Sound p) (n : Nat)
    (limit : Int.ofNat (n + 1) = p.attempts) (c : Call) (repeatable : Bool) (before after : List (Event Call))
    (legal : Legal k p before (initial p))
    (begun : begin_allowed k p (run k p before (initial p)) c repeatable = true)
    (goes_on : Legal k p after (begin_next k p (run k p before (initial p)) c repeatable))
    (within : Within k c after) : length k c after ≤ Nat.succ (Nat.succ (triple n)) :=
  have one_try : put k.same (run k p before (initial p)).tries c (Int.ofNat 1) c = Int.ofNat 1 :=
    put_here k (run k p before (initial p)).tries c (Int.ofNat 1)
  have room : raise (put k.same (run k p before (initial p)).tries c (Int.ofNat 1) c) n = p.attempts :=
    Eq.trans (congrArg (fun x => raise x n) one_try) (Eq.trans (raised_one n) limit)
  have bound : length k c after ≤ cost (put k.same (run k p before (initial p)).stage c Stage.trying c)
      (put k.same (run k p before (initial p)).answer c Answer.unanswered c) n :=
    steps_bounded k p sound.1 c after (begin_next k p (run k p before (initial p)) c repeatable) n
      (event_bounds_tries k p sound.1 (run k p before (initial p)) (machine_bounds_tries k p sound before legal)
        (Event.begin c repeatable) begun) room goes_on within
  Eq.subst (motive := fun x => length k c after ≤ cost x Answer.unanswered n)
    (put_here k (run k p before (initial p)).stage c Stage.trying)
    (Eq.subst (motive := fun x => length k c after ≤
        cost (put k.same (run k p before (initial p)).stage c Stage.trying c) x n)
      (put_here k (run k p before (initial p)).answer c Answer.unanswered) bound)

end Certify.Retry
