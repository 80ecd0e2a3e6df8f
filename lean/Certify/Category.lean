/-! Categories, functors and natural transformations, and the category of types and functions. -/

namespace Certify

universe u v

/-- Objects, arrows between them, and composition with its laws. -/
structure Category (Obj : Type u) where
  Hom : Obj → Obj → Type v
  id : (a : Obj) → Hom a a
  comp : {a b c : Obj} → Hom a b → Hom b c → Hom a c
  id_comp : ∀ {a b : Obj} (f : Hom a b), comp (id a) f = f
  comp_id : ∀ {a b : Obj} (f : Hom a b), comp f (id b) = f
  assoc : ∀ {a b c d : Obj} (f : Hom a b) (g : Hom b c) (h : Hom c d), comp (comp f g) h = comp f (comp g h)

/-- Types and functions. -/
def types : Category.{u + 1, u} (Type u) :=
  ⟨fun a b => a → b, fun _ x => x, fun f g x => g (f x), fun _ => rfl, fun _ => rfl, fun _ _ _ => rfl⟩

/-- Every category read backwards. -/
def Category.opposite {Obj : Type u} (C : Category.{u, v} Obj) : Category.{u, v} Obj :=
  ⟨fun a b => C.Hom b a, fun a => C.id a, fun f g => C.comp g f, fun f => C.comp_id f, fun f => C.id_comp f,
    fun f g h => Eq.symm (C.assoc h g f)⟩

/-- Doing nothing before a function changes nothing. -/
theorem types_id_comp {α β : Type u} (f : α → β) : types.comp (types.id α) f = f := types.id_comp f

/-- Doing nothing after a function changes nothing. -/
theorem types_comp_id {α β : Type u} (f : α → β) : types.comp f (types.id β) = f := types.comp_id f

/-- Composing functions does not depend on brackets. -/
theorem types_assoc {α β γ δ : Type u} (f : α → β) (g : β → γ) (h : γ → δ) :
    types.comp (types.comp f g) h = types.comp f (types.comp g h) := rfl

/-- An identity arrow is the only one that leaves every arrow after it unchanged. -/
theorem id_unique {Obj : Type u} (C : Category.{u, v} Obj) {a : Obj} (e : C.Hom a a)
    (h : ∀ f : C.Hom a a, C.comp e f = f) : e = C.id a :=
  Eq.trans (Eq.symm (C.comp_id e)) (h (C.id a))

/-- An arrow that has a left and a right inverse has them equal. -/
theorem inverse_unique {Obj : Type u} (C : Category.{u, v} Obj) {a b : Obj} (f : C.Hom a b) (g h : C.Hom b a)
    (left : C.comp g f = C.id b) (right : C.comp f h = C.id a) : g = h :=
  calc
    g = C.comp g (C.id a) := Eq.symm (C.comp_id g)
    _ = C.comp g (C.comp f h) := congrArg (fun x => C.comp g x) (Eq.symm right)
    _ = C.comp (C.comp g f) h := Eq.symm (C.assoc g f h)
    _ = C.comp (C.id b) h := congrArg (fun x => C.comp x h) left
    _ = h := C.id_comp h

/-- A map of objects and arrows that keeps identities and composition. -/
structure CatFunctor {A : Type u} {B : Type u} (C : Category.{u, v} A) (D : Category.{u, v} B) where
  obj : A → B
  map : {a b : A} → C.Hom a b → D.Hom (obj a) (obj b)
  map_id : ∀ a : A, map (C.id a) = D.id (obj a)
  map_comp : ∀ {a b c : A} (f : C.Hom a b) (g : C.Hom b c), map (C.comp f g) = D.comp (map f) (map g)

/-- The functor that changes nothing. -/
def CatFunctor.identity {A : Type u} (C : Category.{u, v} A) : CatFunctor C C :=
  ⟨fun a => a, fun f => f, fun _ => rfl, fun _ _ => rfl⟩

/-- One functor after another. -/
def CatFunctor.then {A B E : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} {K : Category.{u, v} E}
    (F : CatFunctor C D) (G : CatFunctor D K) : CatFunctor C K :=
  ⟨fun a => G.obj (F.obj a), fun f => G.map (F.map f),
    fun a => Eq.trans (congrArg (fun x => G.map x) (F.map_id a)) (G.map_id (F.obj a)),
    fun f g => Eq.trans (congrArg (fun x => G.map x) (F.map_comp f g)) (G.map_comp (F.map f) (F.map g))⟩

/-- A family of arrows between two functors that commutes with every arrow. -/
structure NatTrans {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} (F G : CatFunctor C D) where
  app : (a : A) → D.Hom (F.obj a) (G.obj a)
  natural : ∀ {a b : A} (f : C.Hom a b), D.comp (F.map f) (app b) = D.comp (app a) (G.map f)

/-- The natural transformation that changes nothing. -/
def NatTrans.identity {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} (F : CatFunctor C D) :
    NatTrans F F :=
  ⟨fun a => D.id (F.obj a), fun f => Eq.trans (D.comp_id (F.map f)) (Eq.symm (D.id_comp (F.map f)))⟩

/-- Natural transformations compose. -/
def NatTrans.vertical {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} {F G H : CatFunctor C D}
    (s : NatTrans F G) (t : NatTrans G H) : NatTrans F H :=
  ⟨fun a => D.comp (s.app a) (t.app a), fun {a b} f =>
    calc
      D.comp (F.map f) (D.comp (s.app b) (t.app b)) = D.comp (D.comp (F.map f) (s.app b)) (t.app b) :=
        Eq.symm (D.assoc (F.map f) (s.app b) (t.app b))
      _ = D.comp (D.comp (s.app a) (G.map f)) (t.app b) := congrArg (fun x => D.comp x (t.app b)) (s.natural f)
      _ = D.comp (s.app a) (D.comp (G.map f) (t.app b)) := D.assoc (s.app a) (G.map f) (t.app b)
      _ = D.comp (s.app a) (D.comp (t.app a) (H.map f)) := congrArg (fun x => D.comp (s.app a) x) (t.natural f)
      _ = D.comp (D.comp (s.app a) (t.app a)) (H.map f) := Eq.symm (D.assoc (s.app a) (t.app a) (H.map f))⟩

/-- A functor keeps identities. -/
theorem functor_keeps_id {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} (F : CatFunctor C D) (a : A) :
    F.map (C.id a) = D.id (F.obj a) :=
  F.map_id a

/-- A functor keeps composition. -/
theorem functor_keeps_comp {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} (F : CatFunctor C D)
    {a b c : A} (f : C.Hom a b) (g : C.Hom b c) : F.map (C.comp f g) = D.comp (F.map f) (F.map g) :=
  F.map_comp f g

/-- Functors compose: one after another keeps composition, too. -/
theorem then_keeps_comp {A B E : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} {K : Category.{u, v} E}
    (F : CatFunctor C D) (G : CatFunctor D K) {a b c : A} (f : C.Hom a b) (g : C.Hom b c) :
    (F.then G).map (C.comp f g) = K.comp ((F.then G).map f) ((F.then G).map g) :=
  (F.then G).map_comp f g

/-- A natural transformation commutes with every arrow. -/
theorem natural_square {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} {F G : CatFunctor C D}
    (t : NatTrans F G) {a b : A} (f : C.Hom a b) : D.comp (F.map f) (t.app b) = D.comp (t.app a) (G.map f) :=
  t.natural f

/-- Natural transformations compose: the composite commutes with every arrow. -/
theorem vertical_square {A B : Type u} {C : Category.{u, v} A} {D : Category.{u, v} B} {F G H : CatFunctor C D}
    (s : NatTrans F G) (t : NatTrans G H) {a b : A} (f : C.Hom a b) :
    D.comp (F.map f) (D.comp (s.app b) (t.app b)) = D.comp (D.comp (s.app a) (t.app a)) (H.map f) :=
  (NatTrans.vertical s t).natural f

end Certify
