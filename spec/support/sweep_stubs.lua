--- A sweep whose verbs are fakes: their answers can be worked out by hand, and they count how often they are asked.
-- Functions of the user's, samplings and methods, are called with an empty table.
local stubs = { calls = {} }
local loaded = package.loaded

--- Forgets all calls. `stubs.fail_at`: which call of evaluate fails, and `stubs.message` with what.
function stubs.reset() stubs.calls, stubs.fail_at, stubs.message = {}, nil, "broken" end

local function call_own(how)
  if type(how) == "table" then how = how.choose or how.score end
  if type(how) == "function" then how({}) end
end

local function tensor(list)
  return { numel = function() return #list end, totable = function() return { table.unpack(list) } end, list = list }
end

--- Counts a call: `calls.what`, and "what key" at the end of the list.
function stubs.count(what, key)
  stubs.calls[what] = (stubs.calls[what] or 0) + 1
  table.insert(stubs.calls, what .. " " .. key)
end
local count = stubs.count

loaded["secateur.core"] = setmetatable({ clock = os.clock, is_terminal = function() return false end, tensor = tensor },
  { __index = require "secateur.core" })
loaded["secateur.pruning.sample"] = function(model, split, opts)
  local how = type(opts.sampling) == "string" and opts.sampling or "function"
  call_own(opts.sampling)
  count("sample", ("%s %s %s %d %d"):format(model.name, split.of, how, opts.per_class, opts.seed))
  return { opts.seed + 1, #how }
end
loaded["secateur.pruning.importance"] = function(model, split, opts)
  local method = type(opts.method) == "string" and opts.method or "function"
  call_own(opts.method)
  count("importance", ("%s %s %s %s%s"):format(model.name, split.of, method, table.concat(opts.indices, "+"),
    opts.redundancy and (" redundancy %d"):format(opts.calibration_count) or ""))
  table.insert(stubs.calls, "reduce " .. tostring(opts.reduce))
  -- 1/3 needs all nine digits; the eleventh unit is exact.
  return { conv = tensor { 1 / 3, -2.5e-8, 0 }, fc = tensor { 4, 5, 6, 7, 8, 9, opts.steps or 10 },
    method = opts.method, per_class = 10, exact = true, indices = opts.indices }
end
loaded["secateur.pruning.prune"] = function(model, scores, opts)
  local units = {}
  for i = 1, math.floor(opts.rate * 10) do units[i] = i end
  count("prune", ("%g %s %s %s %s"):format(opts.rate, opts.repair, opts.calibration and opts.calibration.of,
    opts.calibration_count, opts.seed))
  return { name = model.name, rate = opts.rate, pruning_plan = { fc = units }, last = scores.fc.list[7],
    third = scores.conv.list[1], repaired = opts.repair,
    repair = opts.repair ~= "none" and { seconds = 2, layers = 3 } or nil }
end
loaded["secateur.pruning.compact"] = function(model)
  local small = { compact = true }
  for key, value in pairs(model) do small[key] = value end
  small.graph = small
  return small
end
local function left_of(model) return model.compact and 1 - model.rate or 1 end
loaded["secateur.models.cost"] = setmetatable({ latencies = function(graphs, batch)
  local times = {}
  for i, graph in ipairs(graphs) do
    count("time", ("%s %g %d of %d"):format(graph.name, graph.rate or 0, batch, #graphs))
    times[i] = batch == 1 and 8 * left_of(graph) or 64 * left_of(graph)
  end
  return times
end }, { __call = function(_, model)
  count("cost", ("%s %g"):format(model.name, model.rate or 0))
  local share = left_of(model)
  local function part(whole) return math.floor(whole * share + 0.5) end
  return { parameters = part(1000), macs = part(2000), bytes = part(4000), peak_bytes = { [16] = part(16000) } }
end })
loaded["secateur.evaluation.evaluate"] = function(model, split)
  count("evaluate", ("%s %s %g"):format(model.name, split.of, model.rate or 0))
  if stubs.calls.evaluate == stubs.fail_at then error(stubs.message, 0) end
  local accuracy = 0.9 - (model.rate or 0) ^ 2 * (model.repaired == "least_squares" and 0.5 or 1)
  -- Two images of label 1: the dense model is right about both, a pruned one about the first.
  local logits = { { 2, 0 }, { 1, model.rate and 3 or 0 } }
  return { logits = logits, indices = { 4, 9 }, labels = { 1, 1 }, accuracy = accuracy,
    balanced_accuracy = accuracy / 2, auroc = 0 / 0, ece = 0.01, loss = 1 / 0,
    macro_f1 = 0.35, per_class = { { sensitivity = 1, specificity = 0.5, precision = 0.25, f1 = 0.4 },
      { sensitivity = 0, specificity = 1, precision = 0 / 0, f1 = 0.2 } } }
end

loaded["secateur.explanations.agreement"] = { against = function(model, split, opts)
  local how = opts.method
  count("explain", ("%s %s %s %d"):format(model.name, split.of, type(how) == "table" and how.method
    .. (how.steps or "") or how, opts.per_class))
  return function(pruned)
    count("agree", ("%s %g%s"):format(model.name, pruned.rate, pruned.compact and " compact" or ""))
    return { input = { cosine = { mean = 1 - pruned.rate }, spearman = { mean = 0.5 } } }
  end
end }

--- A model.
function stubs.model(name)
  return { name = name, forward = function() end, fingerprint = function() return "weights of " .. name end,
    graph = { name = name } }
end

--- A data set.
function stubs.dataset(name)
  local function split(which)
    return { of = name .. "/" .. which, count = function() return 20 end }
  end
  return { classes = { "a", "b" }, train = split "train", test = split "test",
    fingerprint = function() return "images of " .. name end }
end

--- Options of a sweep, with changes; false takes one away.
function stubs.settings(changes)
  local opts = { model = stubs.model "vgg", data = stubs.dataset "cpn", methods = { "lrp", "ig" },
    sampling = { "random" },
    rates = { 0, 0.3, 0.5 }, seeds = { 0, 1 }, progress = false }
  for key, value in pairs(changes or {}) do opts[key] = value or nil end
  return opts
end

--- Rows as plain data, without times.
function stubs.without_times(rows)
  local plain = {}
  for i, row in ipairs(rows) do
    plain[i] = {}
    for key, value in pairs(row) do plain[i][key] = not key:find("seconds") and value or nil end
  end
  return plain
end

--- The verb anew, with what is in package.loaded now.
function stubs.fresh()
  for name in pairs(loaded) do
    if name:find "^secateur%.experiments%." then loaded[name] = nil end
  end
  return require "secateur.experiments.sweep"
end

stubs.reset()

return stubs
