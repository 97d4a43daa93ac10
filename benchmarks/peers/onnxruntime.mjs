// dynofa and ONNX Runtime in turn: the 13 networks of the paper, fp32, one image at a time, on the same cores.
//
//   npm install onnxruntime-node                     anywhere; its folder is DYNOFA_ONNXRUNTIME_DIR
//   build/release/benchmarks/export_networks models
//   node benchmarks/peers/onnxruntime.mjs build/release/benchmarks/bench_subnets models --threads 1,2 > peers.json
//
// Each round runs ours and theirs on a network, both pinned by taskset to cores 0 … N-1. A row has the median over the
// rounds of the medians, and the least minimum. What is printed is a peers file for the target cpu_figures (README.md
// here); a line per network and the geometric means go to stderr.
// Options: --threads 1,2   --rounds 3   --seconds 0.7   --nets cpu0,cpu3
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ort = () => createRequire(resolve(process.env.DYNOFA_ONNXRUNTIME_DIR ?? '.', 'x.js'));
const median = (values) => values.toSorted ? values.toSorted((a, b) => a - b)[values.length >> 1]
                                           : [...values].sort((a, b) => a - b)[values.length >> 1];
const geometricMean = (values) => Math.exp(values.reduce((sum, v) => sum + Math.log(v), 0) / values.length);

/// Times of single images through ONNX Runtime, in this process.
async function timeTheirs(model, threads, seconds) {
  const { InferenceSession, Tensor } = ort()('onnxruntime-node');
  const session = await InferenceSession.create(model, { intraOpNumThreads: threads, interOpNumThreads: 1,
    executionMode: 'sequential', graphOptimizationLevel: 'all', freeDimensionOverrides: { N: 1 } });
  const shape = session.inputMetadata?.[0]?.shape?.map((d) => (d > 0 ? d : 1));
  if (!shape) throw new Error(`${model}: an onnxruntime-node that tells the input's shape is needed`);
  const pixels = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => (i * 7919 % 1000) / 500 - 1);
  const feeds = { [session.inputNames[0]]: new Tensor('float32', pixels, shape) };
  for (let i = 0; i < 5; ++i) await session.run(feeds);
  const times = [], end = performance.now() + 1000 * seconds;
  while (performance.now() < end || times.length < 10) {
    const begin = performance.now();
    await session.run(feeds);
    times.push(performance.now() - begin);
  }
  return { median_ms: median(times), min_ms: Math.min(...times) };
}

function pinned(threads, command) {
  const cores = Array.from({ length: threads }, (_, i) => i).join(',');
  const run = spawnSync('taskset', ['-c', cores, ...command], { encoding: 'utf8', maxBuffer: 1 << 24 });
  if (run.status !== 0) throw new Error(`${command.join(' ')}: ${run.error ?? run.stderr}`);
  return JSON.parse(run.stdout);
}
function timeOurs(bench, net, threads, seconds) {
  const row = pinned(threads, [bench, `--benchmark_filter=^subnet/${net}/cpu/threads:${threads}/manual_time$`,
    '--benchmark_format=json', `--benchmark_min_time=${seconds}`]).benchmarks[0];
  if (row.error_occurred) throw new Error(row.error_message);
  return { median_ms: row.median_ms, min_ms: row.min_ms };
}

const options = { threads: '1', rounds: '3', seconds: '0.7', nets: '' }, names = [];
for (let args = process.argv.slice(2); args.length; )
  args[0].startsWith('--') ? options[args.shift().slice(2)] = args.shift() : names.push(args.shift());

if (names[0] === 'theirs') {
  console.log(JSON.stringify(await timeTheirs(names[1], +options.threads, +options.seconds)));
} else if (names.length === 2) {
  const [bench, models] = names, rows = [];
  const nets = options.nets ? options.nets.split(',') : readdirSync(models).filter((f) => f.endsWith('.onnx')).map((f) => basename(f, '.onnx')).sort();
  for (const threads of options.threads.split(',').map(Number)) {
    const ratios = { median_ms: [], min_ms: [] };
    for (const name of nets) {
      const ours = [], theirs = [];
      for (let round = 0; round < +options.rounds; ++round) {
        ours.push(timeOurs(bench, name, threads, options.seconds));
        theirs.push(pinned(threads, ['node', fileURLToPath(import.meta.url), 'theirs', `${models}/${name}.onnx`,
          '--threads', `${threads}`, '--seconds', options.seconds]));
      }
      const summary = (runs) => ({ median_ms: median(runs.map((r) => r.median_ms)), min_ms: Math.min(...runs.map((r) => r.min_ms)) });
      const row = { name, threads, ours: summary(ours), theirs: summary(theirs) };
      rows.push(row);
      for (const key of ['median_ms', 'min_ms']) ratios[key].push(row.theirs[key] / row.ours[key]);
      console.error(`${name} threads ${threads}: ours ${row.ours.median_ms.toFixed(3)}, theirs ${row.theirs.median_ms.toFixed(3)} ms; ` +
        `theirs/ours ${ratios.median_ms.at(-1).toFixed(2)} (minima ${ratios.min_ms.at(-1).toFixed(2)})`);
    }
    console.error(`threads ${threads}: geometric mean of theirs/ours ${geometricMean(ratios.median_ms).toFixed(3)} ` +
      `(minima ${geometricMean(ratios.min_ms).toFixed(3)}), least ${Math.min(...ratios.median_ms).toFixed(3)}`);
  }
  console.log(JSON.stringify({ peer: `ONNX Runtime ${ort()('onnxruntime-node/package.json').version}`, rows }, null, 1));
} else {
  console.error('usage: onnxruntime.mjs BENCH_SUBNETS MODELS [--threads 1,2] [--rounds 3] [--seconds 0.7] [--nets NAME,…]');
  process.exit(2);
}
