// Convolutions along the levels of columns, as an XLA custom call.
//
// A column goes through all layers while it is in cache. Its levels lie side by side in vectors; a tap of a
// convolution is the same values read some levels further on, so nothing is rearranged.
//
// Arrays in memory: x [column, input, level], the result [column, output, level]; `weights` for each layer
// [output / rows, input, tap, output % rows] and `biases` for each layer [output], both in whole rows of outputs.

#include "kernels.h"

namespace {

constexpr int64_t kBlockColumns = 64;

// exp(x) to a relative 2e-7: 2^n exp(r) with n whole and |r| <= log(2) / 2, and a power series for exp(r).
inline Vector Exp(Vector x) {
  const Vector low = Vector{} - 87.0f, high = Vector{} + 88.0f;
  x = x < low ? low : x;
  x = x > high ? high : x;
  const Vector whole = Vector{} + 12582912.0f;  // 1.5 * 2^23: a sum with it has no digits behind the point
  const Vector shifted = x * 1.44269504f + whole, n = shifted - whole;
  const Vector r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Vector series = Vector{} + 1.0f / 5040;
  for (const float factorial : {720.0f, 120.0f, 24.0f, 6.0f, 2.0f, 1.0f, 1.0f}) series = series * r + 1.0f / factorial;
  return reinterpret_cast<Vector>(reinterpret_cast<Lanes>(series) + (reinterpret_cast<Lanes>(shifted) << 23));
}

// The Gaussian error linear unit, tanh form: x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3).
inline Vector Gelu(Vector x) {
  const Vector u = 0.797884561f * (x + 0.044715f * x * x * x);
  return x / (1.0f + Exp(-2.0f * u));
}

// The layers, and where in memory of its own a column keeps the values between them: [channel, level] with as many
// zeros on both sides of the levels as a tap may reach.
struct Tower {
  ffi::Span<const int64_t> channels;
  int64_t width, levels, before, padded, row;

  Tower(ffi::Span<const int64_t> channels, int64_t width, int64_t levels)
      : channels(channels), width(width), levels(levels), before((width - 1) / 2), padded(RoundUp(levels)),
        row(padded + RoundUp(width)) {}

  int64_t Layers() const { return static_cast<int64_t>(channels.size()) - 1; }
  int64_t Size() const { return InRows(*std::max_element(channels.begin(), channels.end())) * row; }
  static int64_t InRows(int64_t count) { return (count + kRows - 1) / kRows * kRows; }
};

// Some outputs of a layer, for levels in so many vectors: [output, level] at `to`.
template <int vectors, bool activated>
void Convolve(const Tower& tower, int64_t inputs, const float* from, const float* weights, const float* biases,
              float* to) {
  Vector sum[kRows][vectors];
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < vectors; ++v) sum[r][v] = Vector{} + biases[r];
  for (int64_t input = 0; input < inputs; ++input)
    for (int64_t tap = 0; tap < tower.width; ++tap, weights += kRows) {
      Vector values[vectors];
      for (int v = 0; v < vectors; ++v) values[v] = Load(from + input * tower.row + tap + v * kLanes);
      for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < vectors; ++v) sum[r][v] += weights[r] * values[v];
    }
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < vectors; ++v)
      Store(to + r * tower.row + v * kLanes, activated ? Gelu(sum[r][v]) : sum[r][v]);
}

// One layer of a column.
template <bool activated>
void Layer(const Tower& tower, int64_t inputs, int64_t outputs, const float* from, const float* weights,
           const float* biases, float* to) {
  for (int64_t output = 0; output < outputs; output += kRows) {
    const float* some = weights + output * inputs * tower.width;
    float* row = to + output * tower.row + tower.before;
    int64_t level = 0;
    for (; level + kLanes < tower.padded; level += 2 * kLanes)
      Convolve<2, activated>(tower, inputs, from + level, some, biases + output, row + level);
    if (level < tower.padded) Convolve<1, activated>(tower, inputs, from + level, some, biases + output, row + level);
    for (int64_t r = 0; r < kRows; ++r)
      std::memset(row + r * tower.row + tower.levels, 0, (tower.padded - tower.levels) * sizeof(float));
  }
}

// All layers of a column.
void Column(const Tower& tower, const float* x, const float* weights, const float* biases, float* result,
            float* from, float* to) {
  for (int64_t input = 0; input < tower.channels[0]; ++input)
    std::memcpy(from + input * tower.row + tower.before, x + input * tower.levels, tower.levels * sizeof(float));
  for (int64_t layer = 0; layer < tower.Layers(); ++layer, std::swap(from, to)) {
    const int64_t inputs = tower.channels[layer], outputs = Tower::InRows(tower.channels[layer + 1]);
    const auto run = layer + 1 < tower.Layers() ? Layer<true> : Layer<false>;
    run(tower, inputs, outputs, from, weights, biases, to);
    weights += outputs * inputs * tower.width;
    biases += outputs;
  }
  for (int64_t output = 0; output < tower.channels[tower.Layers()]; ++output)
    std::memcpy(result + output * tower.levels, from + output * tower.row + tower.before,
                tower.levels * sizeof(float));
}

ffi::Error Columns(ffi::ThreadPool pool, Array x, Array weights, Array biases, ffi::Result<Array> result,
                   ffi::Span<const int64_t> channels, int64_t width) {
  const auto shape = x.dimensions();
  const Tower tower(channels, width, shape[2]);
  const int64_t columns = shape[0], inputs = shape[1] * shape[2], outputs = result->dimensions()[1] * shape[2];
  ForAll(pool, (columns + kBlockColumns - 1) / kBlockColumns, [&](int64_t block) {
    const int64_t first = block * kBlockColumns, size = tower.Size();
    float* memory = Scratch(2 * size);
    std::memset(memory, 0, 2 * size * sizeof(float));
    for (int64_t column = first; column < std::min(first + kBlockColumns, columns); ++column)
      Column(tower, x.typed_data() + column * inputs, weights.typed_data(), biases.typed_data(),
             result->typed_data() + column * outputs, memory, memory + size);
  });
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(SigmacastColumns, Columns,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>().Arg<Array>().Ret<Array>()
                                  .Attr<ffi::Span<const int64_t>>("channels").Attr<int64_t>("width"));
