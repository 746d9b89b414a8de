--- The column of a sweep that says how much of the explanation each pruned model has kept.
-- @module secateur.experiments.agreement_columns
local core = require "secateur.core"
local errors = require "secateur.util.errors"
local attribution_methods = require "secateur.explanations.attribution_methods"
local methods = require "secateur.attribution.methods"
local options = require "secateur.util.options"

local column = {}

local rules = {
  method = { type = { "string", "table", "function" } },
  per_class = { type = "integer", min = 1, default = 3 },
  top = { type = "number", above = 0, max = 1, default = 0.1 },
  target = { one_of = { "prediction", "label" }, default = "prediction" },
  seed = { type = "integer", default = 0 },
}

--- The option as a table of settings, or nil where the column is off.
-- @param given true or nil (on), false, or a table: `method`, `per_class` (3), `top` (0.1), `target` ("prediction"),
--   `seed`
-- @treturn ?table
function column.settings(given)
  if given == false then return nil end
  if given ~= nil and given ~= true and type(given) ~= "table" then
    errors.refuse("sweep", "agreement: expected a boolean or a table, got " .. options.describe(given))
  end
  local checked = options.check("sweep: agreement", type(given) == "table" and given or nil, rules)
  if checked.method ~= nil then attribution_methods.check("sweep: agreement", "method", checked.method) end
  return checked
end

-- How predictions are explained beside scores by a method, with those of its options that `attribute` has too. Scores
-- that explain no prediction are put beside LRP.
local function how_for(settings, method, method_options)
  if settings.method then return settings.method end
  local row = methods.get_explaining(method)
  if not row then return "lrp" end
  local how = { method = method }
  for key, value in pairs(method_options or {}) do
    if row.rules[key] then how[key] = value end
  end
  return how
end

--- Explains with an unpruned model.
-- @tab settings from `settings`
-- @tparam Model model
-- @tparam Split split
-- @string method of scoring
-- @tab[opt] method_options the sweep's, of that method
-- @int[opt] batch
-- @treturn function pruned model -> `agreement_cosine`, `agreement_spearman`, `agreement_topk` (absent where undefined)
--   and `agreement_seconds`; of nil, which stands for the model itself, ones
function column.against(settings, model, split, method, method_options, batch)
  local compare = require "secateur.explanations.agreement".against(model, split, { method = how_for(settings, method,
    method_options), per_class = settings.per_class, top = settings.top, target = settings.target,
    seed = settings.seed, batch = batch, layers = {}, resamples = 1 })
  return function(pruned)
    if not pruned then
      return { agreement_cosine = 1, agreement_spearman = 1, agreement_topk = 1, agreement_seconds = 0 }
    end
    local started, row = core.clock(), {}
    local input = compare(pruned).input
    for _, measure in ipairs { "cosine", "spearman", "topk" } do
      row["agreement_" .. measure] = input[measure] and input[measure].mean
    end
    row.agreement_seconds = core.clock() - started
    return row
  end
end

return column
