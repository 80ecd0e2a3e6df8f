import Certify.Category

/-! Products, coproducts, indexed products and equalizers of types, with their universal properties. -/

namespace Certify

/-- The arrow into a product that two arrows determine. -/
def pair {α β γ : Type} (f : γ → α) (g : γ → β) : γ → α × β := fun c => (f c, g c)

/-- A pair of arrows has the first as its first component. -/
theorem fst_pair {α β γ : Type} (f : γ → α) (g : γ → β) : (fun c => (pair f g c).1) = f := rfl

/-- A pair of arrows has the second as its second component. -/
theorem snd_pair {α β γ : Type} (f : γ → α) (g : γ → β) : (fun c => (pair f g c).2) = g := rfl

/-- Only the pair of two arrows has them as components. -/
theorem pair_unique {α β γ : Type} (f : γ → α) (g : γ → β) (h : γ → α × β)
    (first : ∀ c, (h c).1 = f c) (second : ∀ c, (h c).2 = g c) : h = pair f g :=
  funext fun c => congr (congrArg Prod.mk (first c)) (second c)

/-- Composition goes into both components of a pair. -/
theorem comp_pair {α β γ δ : Type} (k : δ → γ) (f : γ → α) (g : γ → β) :
    (fun d => pair f g (k d)) = pair (fun d => f (k d)) (fun d => g (k d)) := rfl

/-- The arrow out of a coproduct that two arrows determine. -/
def either {α β γ : Type} (f : α → γ) (g : β → γ) : Sum α β → γ
  | Sum.inl a => f a
  | Sum.inr b => g b

/-- On the left side a choice is its first arrow. -/
theorem either_inl {α β γ : Type} (f : α → γ) (g : β → γ) (a : α) : either f g (Sum.inl a) = f a := rfl

/-- On the right side a choice is its second arrow. -/
theorem either_inr {α β γ : Type} (f : α → γ) (g : β → γ) (b : β) : either f g (Sum.inr b) = g b := rfl

/-- Only the choice between two arrows agrees with them on both sides. -/
theorem either_unique {α β γ : Type} (f : α → γ) (g : β → γ) (h : Sum α β → γ)
    (left : ∀ a, h (Sum.inl a) = f a) (right : ∀ b, h (Sum.inr b) = g b) : ∀ s, h s = either f g s
  | Sum.inl a => left a
  | Sum.inr b => right b

/-- The two sides of a coproduct have nothing in common. -/
theorem sum_disjoint {α β : Type} (a : α) (b : β) (h : (Sum.inl a : Sum α β) = Sum.inr b) : False :=
  nomatch h

/-- The left side of a coproduct is put in without loss. -/
theorem inl_injective {α β : Type} {a b : α} (h : (Sum.inl a : Sum α β) = Sum.inl b) : a = b :=
  match h with
  | rfl => rfl

/-- The arrow into a product of a family of types. -/
def tuple {ι : Type} {P : ι → Type} {γ : Type} (f : (i : ι) → γ → P i) : γ → (i : ι) → P i := fun c i => f i c

/-- A family of arrows is found again by projecting. -/
theorem project_tuple {ι : Type} {P : ι → Type} {γ : Type} (f : (i : ι) → γ → P i) (i : ι) :
    (fun c => tuple f c i) = f i := rfl

/-- Only the tuple of a family of arrows has them as projections. -/
theorem tuple_unique {ι : Type} {P : ι → Type} {γ : Type} (f : (i : ι) → γ → P i) (h : γ → (i : ι) → P i)
    (agrees : ∀ i c, h c i = f i c) : h = tuple f :=
  funext fun c => funext fun i => agrees i c

/-- The values on which two functions agree. -/
def Equalizer {α β : Type} (f g : α → β) : Type := Subtype (fun a => f a = g a)

/-- An arrow that makes two functions equal goes through their equalizer. -/
def Equalizer.lift {α β γ : Type} (f g : α → β) (h : γ → α) (equal : ∀ c, f (h c) = g (h c)) : γ → Equalizer f g :=
  fun c => ⟨h c, equal c⟩

/-- Going through the equalizer changes nothing. -/
theorem equalizer_lift {α β γ : Type} (f g : α → β) (h : γ → α) (equal : ∀ c, f (h c) = g (h c)) :
    (fun c => (Equalizer.lift f g h equal c).val) = h := rfl

/-- There is only one way through the equalizer. -/
theorem equalizer_unique {α β γ : Type} (f g : α → β) (h : γ → α) (equal : ∀ c, f (h c) = g (h c))
    (k : γ → Equalizer f g) (agrees : ∀ c, (k c).val = h c) (c : γ) : (k c).val = (Equalizer.lift f g h equal c).val :=
  agrees c

end Certify
