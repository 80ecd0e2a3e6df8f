import Certify.Machines.Bulkhead

/-! The bulkhead of the specification: what holds after every legal trace, of any length, for all parameters. -/

namespace Certify.Bulkhead

/-- A set has exactly the calls of one stage. -/
def Marks {Call : Type} (g : Group Call) (stage : Call → Stage) (which : Stage) : Prop :=
  ∀ d : Call, g.has d = Stage.same (stage d) which

/-- What a call's stage says of it. -/
theorem stage_says {stage old which : Stage} {answer : Bool} (at_ : Stage.same stage old = true)
    (says : Stage.same old which = answer) : Stage.same stage which = answer :=
  Eq.trans (congrArg (fun x => Stage.same x which) (Stage.known stage old at_)) says

/-- A call that comes to a stage joins its set. -/
theorem joins {Call : Type} (k : Alike Call) {g : Group Call} {stage : Call → Stage} {which : Stage} (c : Call)
    (h : Marks g stage which) (new : Stage.same (stage c) which = false) (here : true = Stage.same which which) :
    Marks (insert k.same g c) (put k.same stage c which) which ∧ (insert k.same g c).size = up g.size :=
  have grown : insert k.same g c = ⟨put k.same g.has c true, up g.size⟩ :=
    insert_new k.same g c (Eq.trans (h c) new)
  ⟨Eq.subst (motive := fun x => Marks x (put k.same stage c which) which) (Eq.symm grown)
      (put_both k (fun _ b x => b = Stage.same x which) g.has stage c true which here (fun y _ => h y)),
    congrArg (fun (x : Group Call) => x.size) grown⟩

/-- A call that leaves a stage leaves its set. -/
theorem leaves {Call : Type} (k : Alike Call) {g : Group Call} {stage : Call → Stage} {which to : Stage} (c : Call)
    (h : Marks g stage which) (old : Stage.same (stage c) which = true) (gone : false = Stage.same to which) :
    Marks (remove k.same g c) (put k.same stage c to) which ∧ (remove k.same g c).size = down g.size :=
  have shrunk : remove k.same g c = ⟨put k.same g.has c false, down g.size⟩ :=
    remove_old k.same g c (Eq.trans (h c) old)
  ⟨Eq.subst (motive := fun x => Marks x (put k.same stage c to) which) (Eq.symm shrunk)
      (put_both k (fun _ b x => b = Stage.same x which) g.has stage c false to gone (fun y _ => h y)),
    congrArg (fun (x : Group Call) => x.size) shrunk⟩

/-- A call that goes from one stage to another is no concern of the set of a third. -/
theorem passes {Call : Type} (k : Alike Call) {g : Group Call} {stage : Call → Stage} {which to : Stage} (c : Call)
    (h : Marks g stage which) (old : Stage.same (stage c) which = false) (gone : Stage.same to which = false) :
    Marks g (put k.same stage c to) which :=
  put_holds k (fun y x => g.has y = Stage.same x which) stage c to (Eq.trans (h c) (Eq.trans old (Eq.symm gone)))
    (fun y _ => h y)

/-- Permits that are free, promised, in use and held by work left running. -/
def held (free promised busy zombies : Int) : Int := plus (plus (plus free promised) busy) zombies

/-- What holds of permits and stages in every state that a run reaches. -/
def Kept {Call : Type} (p : Params) (free : Int) (stage : Call → Stage) (promised busy zombies : Group Call) : Prop :=
  (held free promised.size busy.size zombies.size = p.capacity) ∧ Marks promised stage Stage.granted ∧
    Marks busy stage Stage.running ∧ Marks zombies stage Stage.abandoned

theorem held_start (f a b z : Int) : held f (down a) (up b) z = held f a b z :=
  congrArg (fun x => plus x z) (Eq.trans (congrArg (fun x => plus x (up b)) (sum_lowered f a)) (sum_moved (plus f a) b))

theorem held_enter (f a b z : Int) : held (down f) a (up b) z = held f a b z :=
  congrArg (fun x => plus x z) (Eq.trans (congrArg (fun x => plus x (up b)) (sum_down f a)) (sum_moved (plus f a) b))

theorem held_grant (f a b z : Int) : held (down f) (up a) b z = held f a b z :=
  congrArg (fun x => plus (plus x b) z) (sum_moved f a)

theorem held_give_up (f a b z : Int) : held (up f) (down a) b z = held f a b z :=
  congrArg (fun x => plus (plus x b) z) (sum_back f a)

theorem held_finish (f a b z : Int) : held (up f) a (down b) z = held f a b z :=
  congrArg (fun x => plus x z) (Eq.trans (congrArg (fun x => plus x (down b)) (sum_up f a)) (sum_back (plus f a) b))

theorem held_abandon (f a b z : Int) : held f a (down b) (up z) = held f a b z :=
  Eq.trans (congrArg (fun x => plus x (up z)) (sum_lowered (plus f a) b)) (sum_moved (plus (plus f a) b) z)

theorem held_end (f a b z : Int) : held (up f) a b (down z) = held f a b z :=
  Eq.trans (congrArg (fun x => plus x (down z))
      (Eq.trans (congrArg (fun x => plus x b) (sum_up f a)) (sum_up (plus f a) b)))
    (sum_back (plus (plus f a) b) z)

/-- The sizes that sets have after a step, put into the account. -/
theorem account {cap f a b z a' b' z' : Int} (ha : a' = a) (hb : b' = b) (hz : z' = z) (h : held f a b z = cap) :
    held f a' b' z' = cap :=
  Eq.subst (motive := fun x => held f x b' z' = cap) (Eq.symm ha)
    (Eq.subst (motive := fun x => held f a x z' = cap) (Eq.symm hb)
      (Eq.subst (motive := fun x => held f a b x = cap) (Eq.symm hz) h))

/-- The same of a whole state. -/
def Orderly {Call : Type} (p : Params) (s : State Call) : Prop := Kept p s.free s.stage s.promised s.busy s.zombies

/-- A call that moves between stages without permits moves none. -/
theorem no_permit_moves {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call) (old to : Stage)
    (h : Orderly p s) (at_ : Stage.same (s.stage c) old = true)
    (granted : Stage.same old Stage.granted = false) (granted' : Stage.same to Stage.granted = false)
    (running : Stage.same old Stage.running = false) (running' : Stage.same to Stage.running = false)
    (gone : Stage.same old Stage.abandoned = false) (gone' : Stage.same to Stage.abandoned = false) :
    Kept p s.free (put k.same s.stage c to) s.promised s.busy s.zombies :=
  ⟨h.1, passes k c h.2.1 (stage_says at_ granted) granted', passes k c h.2.2.1 (stage_says at_ running) running',
    passes k c h.2.2.2 (stage_says at_ gone) gone'⟩

theorem event_keeps_permits {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (h : Orderly p s) :
    ∀ e : Event Call, allowed k p s e → Orderly p (next k p s e)
  | Event.enter c, may =>
    have at_ : Stage.same (s.stage c) Stage.outside = true := first_of may
    have busy : Marks (insert k.same s.busy c) (put k.same s.stage c Stage.running) Stage.running ∧
        (insert k.same s.busy c).size = up s.busy.size := joins k c h.2.2.1 (stage_says at_ rfl) rfl
    ⟨account rfl busy.2 rfl (Eq.trans (held_enter s.free s.promised.size s.busy.size s.zombies.size) h.1),
      passes k c h.2.1 (stage_says at_ rfl) rfl, busy.1, passes k c h.2.2.2 (stage_says at_ rfl) rfl⟩
  | Event.wait c, may => no_permit_moves k p s c Stage.outside Stage.queued h (first_of may) rfl rfl rfl rfl rfl rfl
  | Event.reject _, _ => h
  | Event.grant c, may =>
    have at_ : Stage.same (s.stage c) Stage.queued = true :=
      Eq.subst (motive := fun x => Stage.same x Stage.queued = true) (Eq.symm may.1.1) rfl
    have promised : Marks (insert k.same s.promised c) (put k.same s.stage c Stage.granted) Stage.granted ∧
        (insert k.same s.promised c).size = up s.promised.size := joins k c h.2.1 (stage_says at_ rfl) rfl
    ⟨account promised.2 rfl rfl (Eq.trans (held_grant s.free s.promised.size s.busy.size s.zombies.size) h.1),
      promised.1, passes k c h.2.2.1 (stage_says at_ rfl) rfl, passes k c h.2.2.2 (stage_says at_ rfl) rfl⟩
  | Event.start c, may =>
    have promised : Marks (remove k.same s.promised c) (put k.same s.stage c Stage.running) Stage.granted ∧
        (remove k.same s.promised c).size = down s.promised.size := leaves k c h.2.1 may rfl
    have busy : Marks (insert k.same s.busy c) (put k.same s.stage c Stage.running) Stage.running ∧
        (insert k.same s.busy c).size = up s.busy.size := joins k c h.2.2.1 (stage_says may rfl) rfl
    ⟨account promised.2 busy.2 rfl (Eq.trans (held_start s.free s.promised.size s.busy.size s.zombies.size) h.1),
      promised.1, busy.1, passes k c h.2.2.2 (stage_says may rfl) rfl⟩
  | Event.give_up c, may => no_permit_moves k p s c Stage.queued Stage.outside h may rfl rfl rfl rfl rfl rfl
  | Event.give_up_granted c, may =>
    have promised : Marks (remove k.same s.promised c) (put k.same s.stage c Stage.outside) Stage.granted ∧
        (remove k.same s.promised c).size = down s.promised.size := leaves k c h.2.1 may rfl
    ⟨account promised.2 rfl rfl (Eq.trans (held_give_up s.free s.promised.size s.busy.size s.zombies.size) h.1),
      promised.1, passes k c h.2.2.1 (stage_says may rfl) rfl, passes k c h.2.2.2 (stage_says may rfl) rfl⟩
  | Event.finish c, may =>
    have busy : Marks (remove k.same s.busy c) (put k.same s.stage c Stage.outside) Stage.running ∧
        (remove k.same s.busy c).size = down s.busy.size := leaves k c h.2.2.1 may rfl
    ⟨account rfl busy.2 rfl (Eq.trans (held_finish s.free s.promised.size s.busy.size s.zombies.size) h.1),
      passes k c h.2.1 (stage_says may rfl) rfl, busy.1, passes k c h.2.2.2 (stage_says may rfl) rfl⟩
  | Event.abandon c, may =>
    have busy : Marks (remove k.same s.busy c) (put k.same s.stage c Stage.abandoned) Stage.running ∧
        (remove k.same s.busy c).size = down s.busy.size := leaves k c h.2.2.1 may rfl
    have zombies : Marks (insert k.same s.zombies c) (put k.same s.stage c Stage.abandoned) Stage.abandoned ∧
        (insert k.same s.zombies c).size = up s.zombies.size := joins k c h.2.2.2 (stage_says may rfl) rfl
    ⟨account rfl busy.2 zombies.2 (Eq.trans (held_abandon s.free s.promised.size s.busy.size s.zombies.size) h.1),
      passes k c h.2.1 (stage_says may rfl) rfl, busy.1, zombies.1⟩
  | Event.end_abandoned c, may =>
    have zombies : Marks (remove k.same s.zombies c) (put k.same s.stage c Stage.outside) Stage.abandoned ∧
        (remove k.same s.zombies c).size = down s.zombies.size := leaves k c h.2.2.2 may rfl
    ⟨account rfl rfl zombies.2 (Eq.trans (held_end s.free s.promised.size s.busy.size s.zombies.size) h.1),
      passes k c h.2.1 (stage_says may rfl) rfl, passes k c h.2.2.1 (stage_says may rfl) rfl, zombies.1⟩

/-- Conservation: whatever happens, free, promised and held permits make up the capacity. -/
theorem machine_conserves_permits {Call : Type} (k : Alike Call) (p : Params) (es : List (Event Call))
    (legal : Legal k p es (initial p)) : permits_are_conserved k p (run k p es (initial p)) :=
  (run_keeps k p (Orderly p) (fun s e h may => event_keeps_permits k p s h e may) es (initial p)
    ⟨rfl, fun _ => rfl, fun _ => rfl, fun _ => rfl⟩ legal).1

/-- Nobody is overtaken: a permit goes to one that waits and has the least ticket. -/
theorem machine_serves_in_order {Call : Type} (k : Alike Call) (p : Params) (s : State Call) (c : Call)
    (may : grant_allowed k p s c) : first_come_first_served k p s (grant_next k p s c) c :=
  may.1.2

-- several bulkheads ----------------------------------------------------------------------------------------------------

/-- Partitions, each a bulkhead with parameters of its own, after an event in one of them. -/
def use {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params) (i : ι) (e : Event Call)
    (s : ι → State Call) : ι → State Call :=
  put same.same s i (next k (p i) (s i) e)

/-- Partitions after a trace of events, each in its partition. -/
def uses {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params) :
    List (ι × Event Call) → (ι → State Call) → ι → State Call
  | [], s => s
  | e :: es, s => uses same k p es (use same k p e.1 e.2 s)

/-- No event of a trace is in a partition. -/
def Spares {ι Call : Type} (same : Alike ι) (j : ι) : List (ι × Event Call) → Prop
  | [] => True
  | e :: es => (same.same j e.1 = false) ∧ Spares same j es

/-- Using one partition leaves the state of every other as it was. -/
theorem machine_use_leaves_others {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params) (i j : ι)
    (e : Event Call) (s : ι → State Call) (other : same.same j i = false) : use same k p i e s j = s j :=
  put_elsewhere same s i j (next k (p i) (s i) e) other

/-- Isolation: a trace that spares a partition, however long, leaves it as it was. -/
theorem machine_isolates_partitions {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params) (j : ι) :
    ∀ (es : List (ι × Event Call)) (s : ι → State Call), Spares same j es → uses same k p es s j = s j
  | [], _, _ => rfl
  | e :: es, s, h =>
    Eq.trans (machine_isolates_partitions same k p j es (use same k p e.1 e.2 s) h.2)
      (machine_use_leaves_others same k p e.1 j e.2 s h.1)

/-- Whether each event of a trace may happen in its partition where it does. -/
def LegalUses {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params) :
    List (ι × Event Call) → (ι → State Call) → Prop
  | [], _ => True
  | e :: es, s => allowed k (p e.1) (s e.1) e.2 ∧ LegalUses same k p es (use same k p e.1 e.2 s)

theorem uses_keep_permits {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params) :
    ∀ (es : List (ι × Event Call)) (s : ι → State Call), (∀ i : ι, Orderly (p i) (s i)) → LegalUses same k p es s →
      ∀ i : ι, Orderly (p i) (uses same k p es s i)
  | [], _, h, _ => h
  | e :: es, s, h, legal =>
    uses_keep_permits same k p es (use same k p e.1 e.2 s)
      (put_holds same (fun i x => Orderly (p i) x) s e.1 (next k (p e.1) (s e.1) e.2)
        (event_keeps_permits k (p e.1) (s e.1) (h e.1) e.2 legal.1) (fun i _ => h i))
      legal.2

/-- Every partition keeps its own permits, whatever happens in it and in the others. -/
theorem machine_conserves_each_partition {ι Call : Type} (same : Alike ι) (k : Alike Call) (p : ι → Params)
    (es : List (ι × Event Call)) (legal : LegalUses same k p es (fun i => initial (p i))) (i : ι) :
    permits_are_conserved k (p i) (uses same k p es (fun i => initial (p i)) i) :=
  (uses_keep_permits same k p es (fun i => initial (p i))
    (fun _ => ⟨rfl, fun _ => rfl, fun _ => rfl, fun _ => rfl⟩) legal i).1

end Certify.Bulkhead
