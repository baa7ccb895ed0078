// Spherical harmonic transforms for CPUs, as XLA custom calls.
//
// Both halves of a transform are matrix products whose symmetries save most of the arithmetic:
//   - Legendre functions are even or odd about the equator, so one hemisphere is computed, and wavenumbers
//     l < m are left out;
//   - sines and cosines on N longitudes repeat, with signs, in halves of the circle, and in quarters when N is even.
// The work is cut into blocks of levels, small enough that what lies between the two halves stays in cache.
//
// Arrays in memory: modal [zonal, level, total], nodal [longitude, level, latitude], as in SpectralGrid.
// `waves` [zonal, level, hemisphere, latitude]: the south from the pole to the equator, the north likewise;
// an equator that is a node belongs to both. Zonal rows are ordered by parity of m, then cosine and sine.

#include "kernels.h"

namespace {

constexpr int kVectors = 3;

inline Vector Reversed(Vector value) {
  return __builtin_shuffle(value, Lanes{15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0});
}
// Asks for values ahead of their use: the longitudes of a latitude lie too far apart for the processor to guess.
inline void Expect(const float* values, int64_t count) {
  for (int64_t x = 0; x < count; x += kLanes) __builtin_prefetch(values + x, 0, 2);
  __builtin_prefetch(values + count - 1, 0, 2);
}
inline void ExpectToWrite(float* values, int64_t count) {
  for (int64_t x = 0; x < count; x += kLanes) __builtin_prefetch(values + x, 1, 2);
  __builtin_prefetch(values + count - 1, 1, 2);
}
// to = even[0], odd[0], even[1], odd[1], ... up to a count.
inline void Interleave(const float* even, const float* odd, int64_t count, float* to) {
  for (int64_t x = 0; 2 * x < count; x += kLanes) {
    const Vector e = Load(even + x), o = Load(odd + x);
    const Vector both[2] = {
        __builtin_shuffle(e, o, Lanes{0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23}),
        __builtin_shuffle(e, o, Lanes{8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31})};
    std::memcpy(to + 2 * x, both, std::min<int64_t>(2 * kLanes, count - 2 * x) * sizeof(float));
  }
}

// out[row][column] = sum over k of a[row * a_row + k * a_k] * b[k * b_k + column], for a tile that fits the registers.
template <int rows, int vectors>
void Tile(const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_k, int64_t count, float* out,
          int64_t out_row) {
  Vector sum[rows][vectors] = {};
  for (int64_t k = 0; k < count; ++k) {
    Vector values[vectors];
    for (int v = 0; v < vectors; ++v) values[v] = Load(b + k * b_k + v * kLanes);
    for (int r = 0; r < rows; ++r) {
      const float weight = a[r * a_row + k * a_k];
      for (int v = 0; v < vectors; ++v) sum[r][v] += weight * values[v];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) Store(out + r * out_row + v * kLanes, sum[r][v]);
}

template <int vectors>
void TileOfRows(int64_t rows, const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_k, int64_t count,
                float* out, int64_t out_row) {
  switch (rows) {
    case 1: return Tile<1, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    case 2: return Tile<2, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    case 3: return Tile<3, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    case 4: return Tile<4, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    case 5: return Tile<5, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    case 6: return Tile<6, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    case 7: return Tile<7, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
    default: return Tile<8, vectors>(a, a_row, a_k, b, b_k, count, out, out_row);
  }
}

// The same for any number of rows, and of columns in whole vectors.
void Product(int64_t rows, int64_t columns, const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_k,
             int64_t count, float* out, int64_t out_row) {
  for (int64_t row = 0; row < rows; row += kRows) {
    const int64_t some = std::min<int64_t>(kRows, rows - row);
    const float* from = a + row * a_row;
    float* to = out + row * out_row;
    int64_t column = 0;
    for (; column + kVectors * kLanes <= columns; column += kVectors * kLanes)
      TileOfRows<kVectors>(some, from, a_row, a_k, b + column, b_k, count, to + column, out_row);
    if (columns - column == 2 * kLanes)
      TileOfRows<2>(some, from, a_row, a_k, b + column, b_k, count, to + column, out_row);
    else if (columns - column == kLanes)
      TileOfRows<1>(some, from, a_row, a_k, b + column, b_k, count, to + column, out_row);
  }
}

// The truncation and its grid, and how the symmetries cut them up.
struct Geometry {
  int64_t zonal, total, longitudes, latitudes;
  int64_t half, padded;   // latitudes of a hemisphere, and the same in whole vectors
  int64_t parities;       // 2 when the circle has quarters, else 1
  int64_t nodes;          // longitudes that are computed; the others follow by symmetry

  Geometry(int64_t zonal, int64_t total, int64_t longitudes, int64_t latitudes)
      : zonal(zonal), total(total), longitudes(longitudes), latitudes(latitudes), half((latitudes + 1) / 2),
        padded(RoundUp(half)), parities(longitudes % 2 == 0 ? 2 : 1),
        nodes(longitudes % 2 == 0 ? longitudes / 4 + 1 : longitudes / 2 + 1) {}

  int64_t OfParity(int64_t parity) const { return parities == 1 ? zonal : (zonal + 1 - parity) / 2; }
  // First row in `waves` of the cosines (part 0) or sines (part 1) of a parity.
  int64_t FirstRow(int64_t parity, int64_t part) const {
    return parity * 2 * OfParity(0) + part * OfParity(parity);
  }
  int64_t Row(int64_t m, int64_t part) const {
    return FirstRow(m % parities, part) + m / parities;
  }
  int64_t WavesRow(int64_t levels) const { return levels * 2 * padded; }
};

// One block of levels of one transform.
struct Block {
  int64_t levels, first, count;
};

constexpr int64_t kBlockBytes = 400 << 10;

int64_t BlockLevels(const Geometry& g, int64_t levels) {
  const int64_t fitting = kBlockBytes / static_cast<int64_t>(2 * g.zonal * 2 * g.padded * sizeof(float));
  const int64_t most = std::max<int64_t>(1, std::min(fitting, levels));
  const int64_t blocks = (levels + most - 1) / most;
  return (levels + blocks - 1) / blocks;
}

// Coefficients of a block to waves. `legendre` holds for each m [l - m, latitude of the south].
void LegendreInverse(const Geometry& g, const Block& block, const float* modal, const float* legendre, float* waves,
                     float* even_odd) {
  const int64_t row = g.WavesRow(block.count);
  const float* table = legendre;
  for (int64_t m = 0; m < g.zonal; ++m) {
    const int64_t functions = g.total - m;
    for (int64_t part = 0; part < 2; ++part) {
      const float* from = modal + ((2 * m + part) * block.levels + block.first) * g.total + m;
      Expect(from + block.levels * g.total, block.count * g.total);
      float* even = even_odd;
      float* odd = even_odd + block.count * g.padded;
      Product(block.count, g.padded, from, g.total, 2, table, 2 * g.padded, (functions + 1) / 2, even, g.padded);
      Product(block.count, g.padded, from + 1, g.total, 2, table + g.padded, 2 * g.padded, functions / 2, odd,
              g.padded);
      float* to = waves + g.Row(m, part) * row;
      for (int64_t level = 0; level < block.count; ++level, to += 2 * g.padded)
        for (int64_t x = 0; x < g.padded; x += kLanes) {
          const Vector e = Load(even + level * g.padded + x), o = Load(odd + level * g.padded + x);
          Store(to + x, e + o);
          Store(to + g.padded + x, e - o);
        }
    }
    table += functions * g.padded;
  }
}

// Waves of a block to coefficients. `legendre` holds for each m and parity of l - m [latitude of the south, l].
void LegendreForward(const Geometry& g, const Block& block, const float* waves, const float* legendre, float* modal,
                     float* between) {
  const int64_t row = g.WavesRow(block.count), size = block.count * std::max(g.padded, RoundUp(g.total));
  float *sums = between, *differences = sums + size, *even = differences + size, *odd = even + size;
  const float* table = legendre;
  for (int64_t m = 0; m < g.zonal; ++m) {
    const int64_t functions = g.total - m;
    const int64_t even_width = RoundUp((functions + 1) / 2), odd_width = RoundUp(functions / 2);
    for (int64_t part = 0; part < 2; ++part) {
      const float* from = waves + g.Row(m, part) * row;
      for (int64_t x = 0; x < block.count * g.padded; x += g.padded)
        for (int64_t y = x; y < x + g.padded; y += kLanes) {
          const Vector south = Load(from + x + y), north = Load(from + x + g.padded + y);
          Store(sums + y, south + north);
          Store(differences + y, south - north);
        }
      float* to = modal + ((2 * m + part) * block.levels + block.first) * g.total;
      ExpectToWrite(to + block.levels * g.total, block.count * g.total);
      Product(block.count, even_width, sums, g.padded, 1, table, even_width, g.half, even, even_width);
      Product(block.count, odd_width, differences, g.padded, 1, table + g.half * even_width, odd_width, g.half, odd,
              odd_width);
      for (int64_t level = 0; level < block.count; ++level, to += g.total) {
        std::memset(to, 0, m * sizeof(float));
        Interleave(even + level * even_width, odd + level * odd_width, functions, to + m);
      }
    }
    table += g.half * (even_width + odd_width);
  }
}

// Reads or writes `count` values of one hemisphere of a row of latitudes; the north runs from the pole.
inline Vector LoadHalf(const Geometry& g, const float* row, int64_t hemisphere, int64_t x) {
  const int64_t count = std::min<int64_t>(kLanes, g.half - x);
  const float* from = hemisphere == 0 ? row + x : row + g.latitudes - x - count;
  Vector value = {};
  if (count == kLanes) value = Load(from);
  else std::memcpy(reinterpret_cast<float*>(&value) + (hemisphere == 0 ? 0 : kLanes - count), from,
                   count * sizeof(float));
  return hemisphere == 0 ? value : Reversed(value);
}

inline void StoreHalf(const Geometry& g, float* row, int64_t hemisphere, int64_t x, Vector value) {
  const int64_t count = std::min<int64_t>(kLanes, g.half - x);
  if (hemisphere == 1) value = Reversed(value);
  float* to = hemisphere == 0 ? row + x : row + g.latitudes - x - count;
  if (count == kLanes) Store(to, value);
  else std::memcpy(to, reinterpret_cast<const float*>(&value) + (hemisphere == 0 ? 0 : kLanes - count),
                   count * sizeof(float));
}

// Waves of a block to grid values. `fourier` holds for each parity and part [node / 8, m, node % 8].
void FourierInverse(const Geometry& g, const Block& block, const float* waves, const float* fourier, float* nodal) {
  const int64_t row = g.WavesRow(block.count), width = kVectors * kLanes, all = g.longitudes;
  const int64_t node_blocks = (g.nodes + kRows - 1) / kRows, nodal_row = block.levels * g.latitudes;
  float sums[2][2][kRows][kVectors * kLanes];
  for (int64_t nodes = 0; nodes < node_blocks; ++nodes)
    for (int64_t level = 0; level < block.count; ++level)
      for (int64_t hemisphere = 0; hemisphere < 2; ++hemisphere)
        for (int64_t start = 0; start < g.padded; start += width) {
          const int64_t columns = std::min(width, g.padded - start);
          const int64_t end = std::min<int64_t>(kRows, g.nodes - nodes * kRows);
          const float* from = waves + (level * 2 + hemisphere) * g.padded + start;
          float* to = nodal + (block.first + level) * g.latitudes;
          const float* table = fourier;
          for (int64_t parity = 0; parity < g.parities; ++parity)
            for (int64_t part = 0; part < 2; ++part) {
              const int64_t count = g.OfParity(parity);
              for (int64_t node = 0; node < end; ++node) {
                const int64_t east = nodes * kRows + node;
                const int64_t longitude = (parity == 0 ? part == 0 ? east : all - east : part == 0 ? all / 2 - east : all / 2 + east) % all;
                ExpectToWrite(to + longitude * nodal_row + g.latitudes + hemisphere * g.padded, g.padded);
              }
              Product(kRows, columns, table + nodes * count * kRows, 1, kRows, from + g.FirstRow(parity, part) * row,
                      row, count, &sums[parity][part][0][0], width);
              table += node_blocks * count * kRows;
            }
          for (int64_t node = 0; node < end; ++node) {
            const int64_t east = nodes * kRows + node;
            for (int64_t x = 0; x < columns; x += kLanes) {
              const auto put = [&](int64_t longitude, Vector value) {
                StoreHalf(g, to + longitude * nodal_row, hemisphere, start + x, value);
              };
              Vector cosines = Load(&sums[0][0][node][x]), sines = Load(&sums[0][1][node][x]);
              if (g.parities == 2) {
                const Vector odd_cosines = Load(&sums[1][0][node][x]), odd_sines = Load(&sums[1][1][node][x]);
                const Vector far_cosines = cosines - odd_cosines, far_sines = odd_sines - sines;
                if (2 * east != all - 2 * east) {
                  put(all / 2 - east, far_cosines + far_sines);
                  if (east != 0) put(all / 2 + east, far_cosines - far_sines);
                }
                cosines += odd_cosines;
                sines += odd_sines;
              }
              put(east, cosines + sines);
              if (east != 0) put(all - east, cosines - sines);
            }
          }
        }
}

// Grid values of a block, times the weights of the quadrature, to waves. `fourier` holds for each parity and part
// [m / 8, node, m % 8], `weights` [hemisphere, latitude].
void FourierForward(const Geometry& g, const Block& block, const float* nodal, const float* fourier,
                    const float* weights, float* waves, float* folded) {
  const int64_t row = g.WavesRow(block.count), width = kVectors * kLanes, all = g.longitudes;
  const int64_t nodal_row = block.levels * g.latitudes, part_size = g.nodes * width;
  for (int64_t level = 0; level < block.count; ++level)
    for (int64_t hemisphere = 0; hemisphere < 2; ++hemisphere)
      for (int64_t start = 0; start < g.padded; start += width) {
        const int64_t columns = std::min(width, g.padded - start);
        const float* from = nodal + (block.first + level) * g.latitudes;
        for (int64_t east = 0; east < g.nodes; ++east)
          for (int64_t x = 0; x < columns; x += kLanes) {
            const Vector weight = Load(weights + hemisphere * g.padded + start + x);
            const auto get = [&](int64_t longitude) {
              return weight * LoadHalf(g, from + (longitude % all) * nodal_row, hemisphere, start + x);
            };
            const Vector here = get(east), mirrored = get(all - east);
            Vector sum = here + mirrored, difference = here - mirrored;
            float* to = folded + east * width + x;
            if (g.parities == 2) {
              const Vector far = get(all / 2 - east), beyond = get(all / 2 + east);
              const Vector far_sum = far + beyond, far_difference = far - beyond;
              Store(to + 2 * part_size, sum - far_sum);
              Store(to + 3 * part_size, difference + far_difference);
              sum += far_sum;
              difference -= far_difference;
            }
            Store(to, sum);
            Store(to + part_size, difference);
          }
        int64_t next_row = 0;
        const int64_t expected_rows = all / (2 * g.zonal / kRows) + 1;
        const float* table = fourier;
        float* to = waves + (level * 2 + hemisphere) * g.padded + start;
        for (int64_t parity = 0; parity < g.parities; ++parity)
          for (int64_t part = 0; part < 2; ++part) {
            const int64_t count = g.OfParity(parity);
            const float* values = folded + (2 * parity + part) * part_size;
            for (int64_t m = 0; m < count; m += kRows) {
              if (level + 1 < block.count) {
                for (int64_t some = 0; some < expected_rows && next_row < all; ++some, ++next_row)
                  Expect(from + g.latitudes + next_row * nodal_row + hemisphere * g.padded, g.padded);
              }
              Product(std::min<int64_t>(kRows, count - m), columns, table + m * g.nodes, 1, kRows, values, width,
                      g.nodes, to + (g.FirstRow(parity, part) + m) * row, row);
            }
            table += (count + kRows - 1) / kRows * kRows * g.nodes;
          }
      }
}

// Runs work(block) for all blocks of levels.
template <typename Work>
void ForAllBlocks(ffi::ThreadPool& pool, const Geometry& g, int64_t levels, const Work& work) {
  const int64_t size = BlockLevels(g, levels);
  ForAll(pool, (levels + size - 1) / size, [&](int64_t index) {
    const int64_t first = index * size;
    work(Block{levels, first, std::min(size, levels - first)});
  });
}

ffi::Error ToNodal(ffi::ThreadPool pool, Array modal, Array legendre, Array fourier, ffi::Result<Array> nodal) {
  const auto from = modal.dimensions(), to = nodal->dimensions();
  const Geometry g(from[0] / 2, from[2], to[0], to[2]);
  const float *coefficients = modal.typed_data(), *functions = legendre.typed_data(), *basis = fourier.typed_data();
  float* values = nodal->typed_data();
  ForAllBlocks(pool, g, from[1], [&](const Block& block) {
    const int64_t size = 2 * g.zonal * g.WavesRow(block.count);
    float* waves = Scratch(size + 2 * block.count * g.padded);
    LegendreInverse(g, block, coefficients, functions, waves, waves + size);
    FourierInverse(g, block, waves, basis, values);
  });
  return ffi::Error::Success();
}

ffi::Error ToModal(ffi::ThreadPool pool, Array nodal, Array legendre, Array fourier, Array weights,
                   ffi::Result<Array> modal) {
  const auto from = nodal.dimensions(), to = modal->dimensions();
  const Geometry g(to[0] / 2, to[2], from[0], from[2]);
  const float *values = nodal.typed_data(), *functions = legendre.typed_data(), *basis = fourier.typed_data();
  const float* areas = weights.typed_data();
  float* coefficients = modal->typed_data();
  ForAllBlocks(pool, g, from[1], [&](const Block& block) {
    const int64_t size = 2 * g.zonal * g.WavesRow(block.count);
    const int64_t between =
        std::max(4 * g.nodes * kVectors * kLanes, 4 * block.count * std::max(g.padded, RoundUp(g.total)));
    float* waves = Scratch(size + between);
    FourierForward(g, block, values, basis, areas, waves, waves + size);
    LegendreForward(g, block, waves, functions, coefficients, waves + size);
  });
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(SigmacastToNodal, ToNodal,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>().Arg<Array>().Ret<Array>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    SigmacastToModal, ToModal,
    ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>().Arg<Array>().Arg<Array>().Ret<Array>());
