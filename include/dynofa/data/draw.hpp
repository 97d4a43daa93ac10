#pragma once
#include "dynofa/core/random.hpp"
#include "dynofa/data/image.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

// A landscape drawn from a seed, for when no photo is at hand: examples, benchmarks and tests of shapes and speed. It
// has what matters for those (smooth areas, edges, texture, colour), and no network will recognise anything in it.
// Integers only, so that every compiler draws the same bytes.

namespace dynofa::data {

namespace detail {

/// Value noise: random values on a lattice of `cell` pixels, blended smoothly. 0 … 65535.
inline int lattice_noise(const random_stream& random, int x, int y, int cell) {
  const auto corner = [&](int i, int j) {
    const auto index = (static_cast<std::uint64_t>(static_cast<std::uint32_t>(cell)) << 48) ^
                       (static_cast<std::uint64_t>(static_cast<std::uint32_t>(j)) << 24) ^
                       static_cast<std::uint32_t>(i);
    return static_cast<std::int64_t>(random.at(index) >> 48);
  };
  const auto smooth = [&](int offset) { // 3t² − 2t³, 16-bit fixed point
    const std::int64_t t = (static_cast<std::int64_t>(offset) << 16) / cell;
    return (t * t >> 16) * ((3 << 16) - 2 * t) >> 16;
  };
  const auto blend = [](std::int64_t a, std::int64_t b, std::int64_t t) { return a + ((b - a) * t >> 16); };
  const int i = x / cell, j = y / cell;
  const std::int64_t tx = smooth(x % cell), ty = smooth(y % cell);
  const std::int64_t above = blend(corner(i, j), corner(i + 1, j), tx);
  const std::int64_t below = blend(corner(i, j + 1), corner(i + 1, j + 1), tx);
  return static_cast<int>(blend(above, below, ty));
}

/// Four octaves of noise, the finest at 1/8 of `cell`. 0 … 65535.
inline int cloud_noise(const random_stream& random, int x, int y, int cell) {
  std::int64_t sum = 0;
  for (int octave = 0; octave < 4; ++octave)
    sum += std::int64_t{lattice_noise(random, x, y, std::max(cell >> octave, 1))} * (8 >> octave);
  return static_cast<int>(sum / 15);
}

} // namespace detail

/// Draws sky with clouds, three ranges of hills, a sun and film grain: a function of its arguments and of nothing else.
/// About 0.05 µs per pixel. Throws errc::invalid_argument for a side below 1.
inline image draw_landscape(int height, int width, std::uint64_t seed) {
  image picture(height, width);
  using colour = std::array<int, 3>;
  random_stream choice(seed, "landscape");
  const random_stream clouds(seed, "clouds"), ground(seed, "ground"), grain(seed, "grain");
  const auto some_colour = [&](int low, int high) {
    colour c{};
    for (int& v : c) v = low + static_cast<int>(choice.below(static_cast<std::uint32_t>(high - low)));
    return c;
  };
  const auto mix = [](const colour& a, const colour& b, int share) { // share of b, 0 … 65536
    colour c{};
    for (std::size_t k = 0; k < 3; ++k) c[k] = a[k] + static_cast<int>(std::int64_t{b[k] - a[k]} * share / 65536);
    return c;
  };
  const int side = std::max(std::min(height, width), 16);
  const colour zenith = some_colour(30, 160), horizon = some_colour(140, 240), white{245, 245, 240};
  const std::array<colour, 3> hills{some_colour(80, 150), some_colour(40, 120), some_colour(15, 90)};
  const std::int64_t sun_x = choice.below(static_cast<std::uint32_t>(width)), sun_y = height / 6,
                     sun_radius = side / 12 + 1;

  std::vector<std::array<std::int64_t, 3>> ridges(static_cast<std::size_t>(width)); // top of each range, per column
  for (int x = 0; x < width; ++x)
    for (int range = 0; range < 3; ++range) { // one row of noise far outside the picture
      const std::int64_t rise = detail::cloud_noise(ground, x, (range + 1) * 100 * side, side / 2);
      ridges[static_cast<std::size_t>(x)][static_cast<std::size_t>(range)] =
          std::int64_t{height} * (4 + 2 * range) / 9 - rise * side / 200'000;
    }

  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto& ridge = ridges[static_cast<std::size_t>(x)];
      const auto nearest = std::find_if(ridge.rbegin(), ridge.rend(), [y](std::int64_t top) { return y >= top; });
      colour c;
      if (nearest != ridge.rend()) {
        const int texture = detail::cloud_noise(ground, x, y, side / 8 + 2);
        c = mix(hills[static_cast<std::size_t>(ridge.rend() - nearest - 1)], {0, 0, 0}, texture * 3 / 4);
      } else {
        c = mix(zenith, horizon, static_cast<int>(std::int64_t{y} * 65536 / height));
        const std::int64_t dx = x - sun_x, dy = y - sun_y;
        if (dx * dx + dy * dy < sun_radius * sun_radius) c = {255, 240, 200};
        c = mix(c, white, std::clamp((detail::cloud_noise(clouds, x, y, side / 3) - 32000) * 3, 0, 60000));
      }
      const std::uint64_t noise =
          grain.at(static_cast<std::uint64_t>(y) * static_cast<std::uint64_t>(width) + static_cast<std::uint64_t>(x));
      std::uint8_t* to = picture.row(y) + std::ptrdiff_t{3} * x;
      for (std::size_t k = 0; k < 3; ++k)
        to[k] = static_cast<std::uint8_t>(std::clamp(c[k] + static_cast<int>(noise >> (8 * k) & 7) - 3, 0, 255));
    }
  return picture;
}

} // namespace dynofa::data
