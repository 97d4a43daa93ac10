// The transforms of Winograd's F(2×2, 3×3) (winograd.hpp): included as kernels.inl is.

DYNOFA_CPU_FN void winograd_input_of(const vec (&d)[4], vec (&to)[4]) {
  to[0] = d[0] - d[2], to[1] = d[1] + d[2], to[2] = d[2] - d[1], to[3] = d[1] - d[3];
}

inline void winograd_input(const winograd_input_args& g) {
  for (int tile = 0; tile < g.tiles; ++tile)
    for (int lane = 0; lane < lane_block; lane += lanes) {
      const int in = tile * 2 * lane_block + lane;
      vec down[4][4]; // [row][column]
      DYNOFA_CPU_UNROLL for (int x = 0; x < 4; ++x) {
        vec column[4], transformed[4];
        DYNOFA_CPU_UNROLL for (int y = 0; y < 4; ++y) column[y] = load(g.rows[y] + in + x * lane_block);
        winograd_input_of(column, transformed);
        DYNOFA_CPU_UNROLL for (int y = 0; y < 4; ++y) down[y][x] = transformed[y];
      }
      float* to = g.out + tile * lane_block + lane;
      DYNOFA_CPU_UNROLL for (int y = 0; y < 4; ++y) {
        vec both[4];
        winograd_input_of(down[y], both);
        DYNOFA_CPU_UNROLL for (int x = 0; x < 4; ++x, to += g.step) store(to, both[x]);
      }
    }
}

DYNOFA_CPU_FN void winograd_output_of(const vec (&m)[4], vec (&to)[2]) {
  to[0] = m[0] + m[1] + m[2], to[1] = m[1] - m[2] - m[3];
}

template <epilogue Act>
void winograd_output_as(const winograd_output_args& g) {
  for (int tile = 0; tile < g.tiles; ++tile)
    for (int lane = 0; lane < lane_block; lane += lanes) {
      const float* from = g.in + tile * lane_block + lane;
      const vec scale = load(g.scale + lane), shift = load(g.shift + lane);
      vec across[2][4]; // [column of outputs][row]
      DYNOFA_CPU_UNROLL for (int y = 0; y < 4; ++y) {
        vec row[4], pair[2];
        DYNOFA_CPU_UNROLL for (int x = 0; x < 4; ++x, from += g.step) row[x] = load(from);
        winograd_output_of(row, pair);
        across[0][y] = pair[0], across[1][y] = pair[1];
      }
      const int at = tile * 2 * lane_block + lane, columns = 2 * tile + 1 < g.out_width ? 2 : 1;
      for (int x = 0; x < columns; ++x) {
        vec pair[2];
        winograd_output_of(across[x], pair);
        for (int y = 0; y < g.rows; ++y) {
          const int here = at + x * lane_block;
          vec v = activate(fma(pair[y], scale, shift), Act);
          if (g.residual) v = add(v, load(g.residual + y * g.residual_row + here));
          store(g.out + y * g.out_row + here, v);
        }
      }
    }
}

inline void winograd_output(const winograd_output_args& g) {
  if (g.act == epilogue::relu) return winograd_output_as<epilogue::relu>(g);
  if (g.act == epilogue::relu6) return winograd_output_as<epilogue::relu6>(g);
  if (g.act == epilogue::h_swish) return winograd_output_as<epilogue::h_swish>(g);
  winograd_output_as<epilogue::identity>(g);
}
