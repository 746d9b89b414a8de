--- A small sweep that one process or several can do, and what of its store must not depend on that.
local store = require "secateur.results.store"
local sweep_row = require "secateur.experiments.sweep_row"

local rank_sweep = {}

--- The script: a model that is given and one that a function trains, over all axes.
-- @string path of the store
-- @tab[opt] settings `options` (more of the sweep's, as Lua text), `before` and `after` (Lua text)
-- @treturn string Lua source
function rank_sweep.script(path, settings)
  settings = settings or {}
  return ([[
    local sc = require "secateur"
    local data = sc.data.phantom { size = 16, count = 60 }
    local function model(seed)
      return sc.models.vgg { config = { 4, "M", 6, "M" }, hidden = { 8 }, pool = 2, like = data, seed = seed }
    end
    local function trained()
      io.stderr:write "trains\n"
      local made = model(1)
      sc.train(made, data, { epochs = 1, quiet = true })
      return made
    end
    %s
    sc.main(function()
      local results = sc.sweep { models = { given = model(2), made = trained }, datasets = { phantom = data },
        methods = { "lrp", "activation" }, sampling = { "random", "confidence" }, seeds = { 0, 1 },
        rates = { 0, 0.3, 0.6 }, repair = { "none", "least_squares" }, per_class = 3, calibration_count = 8,
        agreement = { per_class = 1 }, latency = false, store = %q, progress = false, %s }
      %s
    end)
  ]]):format(settings.before or "", path, settings.options or "", settings.after or "")
end

--- How many rows the sweep has.
rank_sweep.rows = 2 * 2 * 2 * 2 * 2 * 3

--- What a store holds, without times: kind -> key -> value.
-- @string path
-- @treturn table
function rank_sweep.contents(path)
  local opened, message = store.open(path)
  assert(opened, message)
  local found = {}
  for _, kind in ipairs { "row", "failure", "settings", "samples", "scores", "baseline", "logits", "model" } do
    found[kind] = {}
    for _, key in ipairs(opened:keys(kind)) do
      local value = opened:get(kind, key)
      for _, name in ipairs(sweep_row.timings) do
        if type(value) == "table" then value[name] = nil end
      end
      if kind == "scores" then value.seconds = nil end
      found[kind][key] = value
    end
  end
  opened:close()
  return found
end

return rank_sweep
