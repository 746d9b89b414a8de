--- Rows for specs: one per line of drops, so that every table can be worked out by hand.
local results = require "secateur.results"
local store = require "secateur.results.store"

local rows = {}

--- A row; `changes` over a plain one. The accuracy follows from the drop.
function rows.row(changes)
  local row = { dataset = "cpn", model = "vgg", method = "lrp", sampling = "random", seed = 0, rate = 0.5, drop = 0,
    scope = "global", units_pruned = 5, units_total = 10, baseline_accuracy = 0.9, balanced_accuracy = 0.8,
    macro_f1 = 0.7, auroc = 0.95, ece = 0.05, loss = 0.3, score_seconds = 1.5, evaluate_seconds = 0.5,
    per_class = { { sensitivity = 0.9, specificity = 0.8, precision = 0.7, f1 = 0.6 }, { sensitivity = 0.5 } } }
  for key, value in pairs(changes) do row[key] = value end
  row.accuracy = row.accuracy or row.baseline_accuracy - row.drop
  return row
end

--- What the rows depend on beside their axes.
rows.settings = { dataset = { fingerprint = "d1", classes = { "a", "b" }, train = 20, test = 10 }, model = "a1",
  sampling = "built-in", scope = "global", per_class = 10, evaluate = "compact", latency = true }

--- The key under which a store keeps a row.
function rows.key(row, settings)
  return store.row_key(row, store.hash(settings or rows.settings))
end

--- Puts a row into a store, and its settings before it.
function rows.put(writer, row, settings)
  settings = settings or rows.settings
  writer:put("settings", store.hash(settings), settings)
  return writer:put("row", rows.key(row, settings), row)
end

--- Rows of one method and sampling: `drops` maps a rate to its drop.
function rows.curve(drops, changes)
  local list, rates = {}, {}
  for rate in pairs(drops) do rates[#rates + 1] = rate end
  table.sort(rates)
  for i, rate in ipairs(rates) do
    local row = rows.row(changes or {})
    row.rate, row.drop, row.accuracy = rate, drops[rate], row.baseline_accuracy - drops[rate]
    list[i] = row
  end
  return list
end

--- Results of several curves, each `{drops, changes}`.
function rows.results(curves, context)
  local all = {}
  for _, each in ipairs(curves) do
    local list = rows.curve(each[1], each[2])
    table.move(list, 1, #list, #all + 1, all)
  end
  return results.new(all, context)
end

return rows
