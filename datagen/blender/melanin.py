"""The colour of skin from its two pigments, through the spectrum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_WAVELENGTHS_NM = np.arange(400.0, 701.0, 10.0)

_OXYGENATED = np.array([
    266232, 466840, 480360, 246072, 102580, 62816, 44480, 33209, 26629, 23684, 20933, 20035, 24202, 39957,
    53236, 43016, 32613, 44496, 50104, 14401, 3200, 1506, 942, 610, 442, 368, 320, 294, 278, 276, 290,
], np.float64)  # fmt: skip
_DEOXYGENATED = np.array([
    223296, 303956, 407560, 528600, 413280, 103292, 23389, 16156, 14550, 16684, 20862, 25774, 31590, 39036,
    46592, 53412, 53788, 45072, 37020, 28324, 14677, 9444, 6510, 5149, 4345, 3750, 3227, 2795, 2408, 2052,
    1794,
], np.float64)  # fmt: skip
"""Molar extinction of haemoglobin, 1/(cm M), at ``_WAVELENGTHS_NM``. Source: S. Prahl, "Tabulated molar
extinction coefficient for hemoglobin in water", Oregon Medical Laser Center, 1998."""

_OXYGENATION = 0.7
_EPIDERMIS_CM = 0.006
_EPIDERMIS_PATH = 6.0
"""Diffuse light runs slanted, is scattered, and passes twice: mean path over the thickness."""


def skin_colour(melanin: Array, blood: Array) -> Array:
    """Diffuse reflectance as linear Rec.709 [..., 3].

    melanin [...]: volume fraction of melanosomes in the epidermis; S. L. Jacques, "Skin optics summary",
    1998, gives 0.013 to 0.06 for light, 0.18 to 0.43 for dark skin. blood [...]: its volume fraction in the
    dermis, 0.002 to 0.07. The epidermis absorbs by Beer-Lambert, averaged over path lengths that fall off
    exponentially; the dermis reflects as a thick layer does by Kubelka and Munk, 1931, with Jacques'
    scattering.
    """
    melanin, blood = np.broadcast_arrays(np.asarray(melanin, np.float32), np.asarray(blood, np.float32))
    shape = melanin.shape
    spectrum = _reflectance(melanin.reshape(-1, 1), blood.reshape(-1, 1))
    return np.clip(spectrum @ _SPECTRUM_TO_RGB, 0, 1).astype(np.float32).reshape(*shape, 3)


def melanin_fraction(level: float) -> float:
    """Appearance.melanin in [0, 1] -> volume fraction, even steps for the eye (geometric)."""
    return float(0.018 * (0.40 / 0.018) ** level)


def blood_fraction(level: float) -> float:
    """Appearance.haemoglobin in [0, 1] -> volume fraction of blood."""
    return float(0.012 * (0.05 / 0.012) ** level)


def _reflectance(melanin: Array, blood: Array) -> Array:
    absorbed = melanin * _MELANOSOME + (1 - melanin) * _BARE_SKIN
    absorption = blood * _BLOOD + (1 - blood) * _BARE_SKIN
    ratio = 2 * absorption / (0.75 * _SCATTERING)
    dermis = 1 + ratio - np.sqrt(ratio * (ratio + 2))
    return dermis / (1 + absorbed * (_EPIDERMIS_CM * _EPIDERMIS_PATH))


def _to_rgb() -> Array:
    """[31, 3]: a reflectance spectrum to linear Rec.709; a flat one gives grey.

    Colour matching functions: C. Wyman, P.-P. Sloan, P. Shirley, "Simple analytic approximations to the CIE
    XYZ color matching functions", 2013, the multi-lobe fit.
    """

    def lobe(peak: float, below: float, above: float) -> Array:
        width = np.where(peak > _WAVELENGTHS_NM, below, above)
        return np.exp(-0.5 * ((_WAVELENGTHS_NM - peak) / width) ** 2)

    x = 1.056 * lobe(599.8, 37.9, 31.0) + 0.362 * lobe(442.0, 16.0, 26.7) - 0.065 * lobe(501.1, 20.4, 26.2)
    y = 0.821 * lobe(568.8, 46.9, 40.5) + 0.286 * lobe(530.9, 16.3, 31.1)
    z = 1.217 * lobe(437.0, 11.8, 36.0) + 0.681 * lobe(459.0, 26.0, 13.8)
    xyz_to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    weights = np.stack([x, y, z], axis=1)
    weights = weights / weights.sum(0) * [0.9505, 1.0, 1.089]  # a flat spectrum is the white of D65
    return weights @ xyz_to_rgb.T


_SPECTRUM_TO_RGB = _to_rgb().astype(np.float32)
_MELANOSOME = (6.6e11 * _WAVELENGTHS_NM**-3.33).astype(np.float32)
_BARE_SKIN = (0.244 + 85.3 * np.exp(-(_WAVELENGTHS_NM - 154) / 66.2)).astype(np.float32)
_SCATTERING = (2e5 * _WAVELENGTHS_NM**-1.5 + 2e12 * _WAVELENGTHS_NM**-4.0).astype(np.float32)
_BLOOD = (
    2.303 * (150 / 64500) * (_OXYGENATION * _OXYGENATED + (1 - _OXYGENATION) * _DEOXYGENATED)
).astype(np.float32)  # fmt: skip
"""All four in 1/cm: absorption of a melanosome, of skin without pigment and of whole blood (150 g/l), and
the dermis' reduced scattering; Jacques, 1998."""
