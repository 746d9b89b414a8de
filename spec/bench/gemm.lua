-- Matrix products and the 1 x 1 convolutions that come down to them: GFLOP/s of float32 and share of the machine's
-- peak, on one thread and on all. Products also by OpenBLAS, where it was found, in turns with ours
-- (OPENBLAS_CORETYPE=Haswell or SkylakeX before the command chooses other kernels of it, where that is possible).
--
--     make bench BENCH=spec/bench/gemm.lua
--
-- Options through the environment: THREADS ("1" and the number of processors; a list with spaces), MIN_SECONDS (0.3:
-- how long a product is timed at least, each of both sides). The best time counts.
local bench = require "support.bench"
local core = require "secateur.core"
local machine = require "support.machine"
local sc = require "secateur"

local openblas = package.searchpath("spec.openblas", package.cpath) and require "spec.openblas"
local MIN_SECONDS = bench.setting("MIN_SECONDS", 0.3)

-- { m, n, k, what it is }: [m x k] times [k x n].
local products = {
  { 256, 256, 256 }, { 512, 512, 512 }, { 1024, 1024, 1024 }, { 2048, 2048, 2048 },
  { 197, 768, 768, "ViT-B projection, one image" }, { 197, 3072, 768, "ViT-B MLP, one image" },
  { 197, 197, 64, "ViT-B scores of a head" }, { 512, 49, 4608, "ResNet-50 3 x 3, last stage, as columns" },
  { 64, 3136, 576, "ResNet-50 3 x 3, first stage, as columns" }, { 16, 4096, 25088, "VGG classifier, batch 16" },
  { 1, 4096, 25088, "VGG classifier, one image" }, { 1000, 16, 2048, "few columns" },
  { 509, 1021, 251, "primes" }, { 17, 4099, 33, "thin and odd" },
}

-- { input channels, output channels, side of the input, stride }
local convolutions = { { 2048, 512, 7, 1 }, { 512, 2048, 7, 1 }, { 1024, 2048, 14, 2 } }

-- Best seconds of each function; they run in turns, so that what else the machine does hits both alike.
local function best_of(functions)
  local best, total, rounds = {}, 0, 0
  for i, run in ipairs(functions) do
    run()
    best[i] = math.huge
  end
  while rounds < 3 or total < MIN_SECONDS * #functions do
    for i, run in ipairs(functions) do
      local start = core.clock()
      run()
      local seconds = core.clock() - start
      best[i], total = math.min(best[i], seconds), total + seconds
    end
    rounds = rounds + 1
  end
  return best
end

local LINE = "%-18s %11s %7s %11s %7s   %s"

local function show(what, flops, best, peak, remark)
  local cells = {}
  for i = 1, 2 do
    local gflops = best[i] and flops / best[i] * 1e-9
    cells[#cells + 1] = gflops and ("%.1f"):format(gflops) or ""
    cells[#cells + 1] = gflops and peak and ("%.1f"):format(gflops / peak * 100) or ""
  end
  print((LINE:format(what, cells[1], cells[2], cells[3], cells[4], remark or ""):gsub("%s+$", "")))
end

local function time_product(entry, peak)
  local m, n, k, remark = table.unpack(entry)
  local a, b = sc.randn(m, k, { seed = 1 }), sc.randn(k, n, { seed = 2 })
  local functions = { function() a:matmul(b) end }
  if openblas then
    local left, right = openblas.random(m, k, 1), openblas.random(k, n, 2)
    functions[2] = function() left:multiply(right) end
  end
  show(("%d x %d x %d"):format(m, n, k), 2 * m * n * k, best_of(functions), peak, remark)
end

-- A network of one node, at batch 1.
local function time_convolution(entry, peak)
  local channels, out, side, stride = table.unpack(entry)
  local model = sc.model { input = { channels, side, side }, build = function(net, x)
    return net:conv2d("conv", x, { out = out, kernel = 1, stride = stride, bias = false })
  end }
  local x, macs = sc.randn(1, channels, side, side, { seed = 1 }), 0
  for _, node in ipairs(model.graph:nodes()) do macs = macs + node.macs end
  local best = best_of { function() model:forward(x) end }
  show(("%d -> %d"):format(channels, out), 2 * macs, best, peak,
    ("1 x 1, stride %d, %d x %d"):format(stride, side, side))
  model:release()
end

print("OPENBLAS_CORETYPE=" .. (os.getenv "OPENBLAS_CORETYPE" or "(unset)"))
local all = sc.threads()
for word in bench.setting("THREADS", all > 1 and "1 " .. all or "1"):gmatch "%S+" do
  local threads = math.tointeger(word) or error(("THREADS: expected numbers, got '%s'"):format(word), 0)
  sc.threads(threads)
  local peak = machine.peak(threads)
  print(("\n%d thread%s%s"):format(threads, threads > 1 and "s" or "",
    peak and (", peak %.1f GFLOP/s"):format(peak) or ""))
  print(LINE:format("m x n x k", "GFLOP/s", "% peak", "OpenBLAS", "% peak", "what it is"))
  for _, entry in ipairs(products) do time_product(entry, peak) end
  for _, entry in ipairs(convolutions) do time_convolution(entry, peak) end
end
sc.threads(all)
