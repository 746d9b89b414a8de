-- Accuracy at equal multiply-adds beside Torch-Pruning (Fang et al. 2023): the same trained models of chest X-rays, the
-- same images, no training afterwards. Torch-Pruning removes groups of coupled channels by its own importance, until it
-- has as few multiply-adds as our compact model.
--
--     make bench BENCH=spec/bench/torch_pruning.lua DATA=... MODELS=... PYTHON=/path/to/python-with-torch-pruning
--
-- Options through the environment: DATA and MODELS as for trained_models.lua; MODELS_MATCH ("^cpn"), RATES
-- (".3 .5 .7"), IMPORTANCES ("magnitude taylor magnitude_global taylor_global": the same ratio for every group, which
-- is Torch-Pruning's default, or a global ranking), IMAGES (256: for our calibration, without labels; as many with
-- labels for Taylor), THREADS (2).
local bench = require "support.bench"
local json = require "secateur.util.json"
local core = require "secateur.core"
local files = require "secateur.util.files"
local layers = require "secateur.models.layers"
local memory_split = require "support.memory_split"
local safetensors = require "secateur.formats.safetensors"
local sc = require "secateur"
local temporary = require "support.temporary"
local trained_models = require "support.trained_models"

local setting, words = bench.setting, bench.words
local DATA = os.getenv "DATA" or error("DATA: expected the folder of the images", 0)
local MODELS = os.getenv "MODELS" or error("MODELS: expected the folder of the models", 0)
local PYTHON = os.getenv "PYTHON" or error("PYTHON: expected an interpreter with torch and torch-pruning", 0)
local MATCH, IMAGES, THREADS = setting("MODELS_MATCH", "^cpn"), setting("IMAGES", 256), setting("THREADS", 2)

local RATES, IMPORTANCES = words(setting("RATES", ".3 .5 .7")), words(setting("IMPORTANCES",
  "magnitude taylor magnitude_global taylor_global"))

-- Images and labels of a split, or of so many drawn by seed, normalised as the models take them.
local function take(split, count)
  local order = core.permutation(split:count(), 1)
  local indices = table.move(order, 1, math.min(count or #order, #order), 1, {})
  local x, y = split:batch(indices)
  return x, y
end

local function macs_of(model) return select(2, layers.totals(model)) end

-- What this side makes of a model: for each rate accuracy and the share of multiply-adds left.
local function ours(model, data, test)
  local dense, found = macs_of(model), {}
  local scores = sc.importance(model, data.train, { seed = 1 })
  for i, rate in ipairs(RATES) do
    local compact = sc.compact(sc.prune(model, scores, { rate = rate, repair = "least_squares", seed = 1,
      calibration = data.train, calibration_count = IMAGES }))
    local result = sc.evaluate(compact, test)
    found[i] = { rate = rate, macs = macs_of(compact) / dense, accuracy = result.accuracy,
      balanced = result.balanced_accuracy }
  end
  return found
end

local function theirs(entry, folder, importance, targets)
  local words_of = { PYTHON, "spec/bench/peer_torch_pruning.py", entry.family, files.join(folder, entry.name),
    files.join(folder, "images"), importance, THREADS }
  for _, target in ipairs(targets) do words_of[#words_of + 1] = ("%.6f"):format(target.macs) end
  local text = bench.run(words_of, THREADS)
  local read, answer = pcall(json.decode, text)
  if not read then error(("torch-pruning failed on %s: %s"):format(entry.name, text), 0) end
  return answer
end

local LINE = "| %s | %g | %.4f | %.3f | %.4f (%.3f) | %s |"

local function cell(answer)
  if answer.failed then return answer.failed end
  return ("%.4f (%.3f) at %.3f"):format(answer.accuracy, answer.balanced, answer.macs)
end

local function run_model(entry, data, test, folder)
  local model = sc.load(trained_models.path(entry, MODELS))
  local dense = sc.evaluate(model, test).accuracy
  model:export_state(files.join(folder, entry.name))
  local found, others = ours(model, data, test), {}
  for i, importance in ipairs(IMPORTANCES) do
    others[i] = theirs(entry, folder, importance, found)
    -- The same numbers come out of both before anything is pruned, or the comparison means nothing.
    assert(math.abs(others[i].dense - dense) <= 1 / test:count() + 1e-9, "the dense models differ")
  end
  for r, mine in ipairs(found) do
    local cells = {}
    for i in ipairs(IMPORTANCES) do cells[i] = cell(others[i].rows[r]) end
    print(LINE:format(entry.name, mine.rate, dense, mine.macs, mine.accuracy, mine.balanced,
      table.concat(cells, " | ")))
  end
end

local function run()
  local folder, opened = temporary.folder(), {}
  print(("| model | rate | dense | MACs left | ours (balanced) | %s |\n|%s"):format("Torch-Pruning, "
    .. table.concat(IMPORTANCES, " | Torch-Pruning, "), ("---|"):rep(5 + #IMPORTANCES)))
  for _, entry in ipairs(trained_models.list()) do
    if entry.name:find(MATCH) and files.is_file(trained_models.path(entry, MODELS)) then
      local data = opened[entry.set] or trained_models.open(entry.set, DATA)
      opened = { [entry.set] = data }
      local x, y = take(data.test)
      local train_x, train_y = take(data.train, IMAGES)
      safetensors.save(files.join(folder, "images"), { test_x = x, test_y = y, train_x = train_x, train_y = train_y })
      run_model(entry, data, memory_split(x, y:totable(), { classes = data.classes }), folder)
    end
  end
  files.remove(folder)
end

io.stdout:setvbuf "line"
run()
