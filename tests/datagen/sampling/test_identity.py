import dataclasses
from collections import Counter

import numpy as np
import pytest

from datagen.config import CorpusConfig, load_config
from datagen.sampling.appearance import sample_appearance
from datagen.sampling.identity import (
    farthest,
    identity_of,
    recipe_of,
    sample_shape,
    split_counts,
    split_of,
    template_of,
)
from datagen.sampling.traits import sample_traits
from datagen.sections import Splits
from manifests.clip import HeadInfo, Traits


def corpus(**overrides: object) -> CorpusConfig:
    return load_config("demo", {key.replace("__", "."): str(value) for key, value in overrides.items()})


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 20, 179, 12345, 2**62])
def test_eight_clips_of_four_identities_show_all_recipes(seed: int) -> None:
    config = corpus(seed=seed, clips=800)
    for first in range(0, 800, 8):
        assert len({recipe_of(config, index) for index in range(first, first + 8)}) == 4


@pytest.mark.parametrize("identities", [1, 4, 5, 89, 100, 1000])
def test_recipes_hold_their_weights(identities: int) -> None:
    config = corpus(identities=identities, clips=4000, recipes="{phone: 1, studio: 2, dynamic_sweep: 5}")
    counts = Counter(recipe_of(config, index) for index in range(4000))
    assert counts["view_sweep"] == 0
    assert counts["phone"] / 4000 == pytest.approx(0.125, abs=0.02)
    assert counts["studio"] / 4000 == pytest.approx(0.25, abs=0.02)


def test_an_identity_meets_all_recipes_over_its_visits() -> None:
    config = corpus(identities=89, clips=100_000)
    recipes = Counter(recipe_of(config, 13 + 89 * visit) for visit in range(200))
    assert min(recipes.values()) > 40
    assert len(recipes) == 4


def test_templates_hold_their_weights() -> None:
    config = corpus(clips=1000)
    counts = Counter(template_of(config, index) for index in range(1000))
    total = sum(template.weight for template in config.templates.values())
    assert len(config.templates) > 3
    for name, template in config.templates.items():
        assert counts[name] == pytest.approx(1000 * template.weight / total, abs=10)


def test_identities_take_turns() -> None:
    config = corpus(clips=100)
    assert [identity_of(config, index) for index in (0, 3, 4, 9)] == [(0, 0), (3, 0), (0, 1), (1, 2)]


@pytest.mark.parametrize("identities", [1, 2, 3, 4, 5, 10, 97, 100, 1000])
def test_each_split_gets_exactly_its_share(identities: int) -> None:
    config = corpus(identities=identities, splits="{train: 0.8, validation: 0.1, test: 0.1}")
    counts = Counter(split_of(config, identity) for identity in range(identities))
    assert dict(counts) == {name: count for name, count in split_counts(config.splits, identities).items() if count}
    if identities >= 3:
        assert len(counts) == 3
    if identities >= 10:
        assert counts["train"] == pytest.approx(0.8 * identities, abs=1)


def test_split_counts_of_few_identities() -> None:
    splits = Splits(train=0.8, validation=0.1, test=0.1)
    assert split_counts(splits, 4) == {"train": 2, "validation": 1, "test": 1}
    assert split_counts(splits, 1) == {"train": 1, "validation": 0, "test": 0}
    assert split_counts(Splits(train=1, validation=0, test=0), 5) == {"train": 5, "validation": 0, "test": 0}
    assert split_counts(Splits(train=0.98, validation=0.01, test=0.01), 1000) == {
        "train": 980, "validation": 10, "test": 10,
    }  # fmt: skip


def test_splits_are_mixed_evenly_among_neighbouring_identities() -> None:
    config = corpus(identities=1000, splits="{train: 2, validation: 1, test: 1}")
    for first in range(0, 1000, 50):
        counts = Counter(split_of(config, identity) for identity in range(first, first + 50))
        assert min(counts["validation"], counts["test"]) >= 8


ADULT = Traits(40.0, 0.5, 0.0, 0.0, 1.0)


def plain(size: int) -> HeadInfo:
    """A head whose components have no meaning."""
    return HeadInfo("plain", "flame", "0" * 64, "licensed", size, 100, (), (0.0, 0.1, 0.03))


def test_shape_is_truncated_normal() -> None:
    settings = corpus(identity="{components: 60, spread: 0.8, limit: 2.0, typicality: 0.9999}").identity
    shapes = np.array([sample_shape(settings, plain(100), ADULT, 1, identity) for identity in range(200)])
    assert shapes.dtype == np.float32
    assert shapes.shape == (200, 100)
    assert not shapes[:, 60:].any()
    assert np.abs(shapes).max() <= 1.6 + 1e-6
    assert shapes[:, :60].std() == pytest.approx(0.8 * 0.880, abs=0.02)  # a normal cut at 2 has deviation 0.880
    assert abs(shapes[:, :60].mean()) < 0.03


def test_shape_components_do_not_depend_on_their_number() -> None:
    few, many = (corpus(identity__components=count, identity__typicality=0.9999).identity for count in (10, 50))
    few_drawn, many_drawn = (sample_shape(settings, plain(100), ADULT, 1, 3) for settings in (few, many))
    assert np.array_equal(few_drawn[:10], many_drawn[:10])
    assert len(sample_shape(many, plain(20), ADULT, 1, 3)) == 20


def test_unusual_faces_are_drawn_in(named_head: HeadInfo) -> None:
    """At the stated share of typical faces, and no other; each keeps its direction and its traits."""
    loose, strict = (corpus(identity=f"{{components: 90, typicality: {share}}}").identity for share in (0.9999, 0.8))
    bound = farthest(strict, 94)
    moved = 0
    for identity in range(300):
        traits = sample_traits(loose, 1, identity)
        free, held = (sample_shape(settings, named_head, traits, 1, identity) for settings in (loose, strict))
        assert np.array_equal(free[:4], held[:4])
        assert np.linalg.norm(held) <= bound + 1e-4
        if np.linalg.norm(free) > bound:
            moved += 1
            ratio = held[4:94] / free[4:94]
            assert np.ptp(ratio) < 1e-4
            assert 0.5 < ratio.mean() < 1
        else:
            assert np.array_equal(free, held)
    assert 5 < moved < 150


def test_a_wider_spread_makes_no_caricatures() -> None:
    wide = corpus(identity="{components: 90, spread: 2.5, typicality: 0.9}").identity
    distances = [np.linalg.norm(sample_shape(wide, plain(100), ADULT, 1, identity)) for identity in range(50)]
    assert np.max(distances) <= farthest(wide, 90) + 1e-4
    assert np.min(distances) > 0.99 * farthest(wide, 90)


def test_traits_set_the_components_that_carry_them(named_head: HeadInfo) -> None:
    settings = corpus().identity
    shape = sample_shape(settings, named_head, Traits(70.0, 0.2, 0.25, 0.75, 0.0), 1, 3)
    expected = [
        (value - trait.mean) / trait.deviation
        for value, trait in zip((70.0, 0.2, 0.25, 0.75), named_head.traits, strict=True)
    ]
    np.testing.assert_allclose(shape[:4], expected, rtol=1e-6)
    other = sample_shape(settings, named_head, ADULT, 1, 3)
    free = corpus(identity__typicality=0.9999).identity
    shape, other = (sample_shape(free, named_head, t, 1, 3) for t in (Traits(70.0, 0.2, 0.25, 0.75, 0.0), ADULT))
    assert np.array_equal(shape[4:], other[4:])
    assert np.array_equal(shape[4:], sample_shape(free, plain(100), ADULT, 1, 3))


def test_traits_hold_their_weights_and_are_spread_evenly() -> None:
    weights = "{ages: {young: 1, old: 3}, genders: {feminine: 1, masculine: 1}, ancestries: {african: 1, asian: 3}}"
    settings = corpus(identity=weights).identity
    people = [sample_traits(settings, 5, identity) for identity in range(2000)]
    ages = np.array([person.age_years for person in people])
    assert np.mean(ages < 35) == pytest.approx(0.25, abs=0.01)
    assert not ((ages > 35) & (ages < 55)).any()
    assert (np.histogram(ages, bins=25, range=(55, 80))[0] > 40).all()
    assert not any(0.3 < person.gender < 0.7 for person in people)
    assert not any(person.european for person in people)
    assert np.mean([person.ancestry == "asian" for person in people]) == pytest.approx(0.75, abs=0.01)
    assert np.mean([person.african not in (0.0, 1.0) for person in people]) == pytest.approx(0.3, abs=0.04)
    for person in people:
        assert person.african + person.asian + person.european == pytest.approx(1)
        assert max(person.african, person.asian) >= 0.5


def test_few_people_differ_in_age_gender_and_ancestry() -> None:
    settings = corpus().identity
    for seed in range(20):
        people = [sample_traits(settings, seed, identity) for identity in range(6)]
        assert max(p.age_years for p in people) - min(p.age_years for p in people) > 30
        assert max(p.gender for p in people) - min(p.gender for p in people) > 0.4
        assert len({p.ancestry for p in people}) >= 2


def test_traits_do_not_go_with_each_other_nor_with_skin() -> None:
    config = corpus()
    people = [sample_traits(config.identity, 7, identity) for identity in range(3000)]
    skin = [sample_appearance(config.appearance, ADULT, 7, identity).melanin for identity in range(3000)]
    table = np.array([(p.age_years, p.gender, p.african, p.asian, m) for p, m in zip(people, skin, strict=True)])
    together = np.corrcoef(table.T) - np.eye(5)
    together[2, 3] = together[3, 2] = 0  # shares of one whole
    assert np.abs(together).max() < 0.06


def test_hair_goes_grey_with_age_as_counted() -> None:
    """Panhan et al. 2012: of people of 45 to 65 years 74 in 100 have grey hair, 27 in 100 hairs on average."""
    settings = corpus().appearance
    rng = np.random.default_rng(0)
    people = [dataclasses.replace(ADULT, age_years=float(rng.uniform(45, 65))) for _ in range(2000)]
    amounts = [sample_appearance(settings, person, 3, identity).grey_share for identity, person in enumerate(people)]
    assert np.mean(np.array(amounts) > 0) == pytest.approx(0.74, abs=0.05)
    assert np.mean(amounts) == pytest.approx(0.27, abs=0.05)


def test_appearance_covers_people_and_stays_in_range() -> None:
    settings = corpus().appearance
    people = [sample_appearance(settings, ADULT, 3, identity) for identity in range(600)]
    melanin = np.array([person.melanin for person in people])
    assert np.histogram(melanin, bins=10, range=(0, 1))[0].min() > 50
    assert {person.hair_style for person in people} == {name for name, _ in settings.masculine_hair.items()}
    for person in people:
        for colour in (person.iris_colour, person.hair_colour, person.clothing_colour):
            assert all(0 <= channel <= 1 for channel in colour)
        assert person.hair_length_m == 0 if person.hair_style == "bald" else person.hair_length_m > 0
        assert settings.neckline_m[0] <= person.neckline_m <= settings.neckline_m[1]


def test_light_eyes_and_fair_hair_go_with_light_skin() -> None:
    settings = corpus().appearance
    people = [
        sample_appearance(settings, dataclasses.replace(ADULT, age_years=20.0), 3, identity) for identity in range(1000)
    ]
    blue = [person.melanin for person in people if person.iris_colour[2] > person.iris_colour[0]]
    fair = [person.melanin for person in people if person.hair_colour[1] > 0.1]
    assert max(blue) < 0.55
    assert max(fair) < 0.55
    assert 0.05 < len(blue) / len(people) < 0.3
    dark = [person for person in people if person.melanin > 0.7]
    assert all(max(person.hair_colour) < 0.06 for person in dark)


def test_four_people_differ() -> None:
    for seed in range(5):
        melanin = sorted(sample_appearance(corpus().appearance, ADULT, seed, n).melanin for n in range(4))
        assert melanin[-1] - melanin[0] > 0.5
        assert len({sample_appearance(corpus().appearance, ADULT, seed, n).hair_style for n in range(4)}) >= 2
