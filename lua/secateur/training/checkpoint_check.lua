--- Whether a checkpoint holds a training's state, number by number and tensor by tensor, before any of it is taken: it
-- is a file like any other, and may have been changed.
-- @module secateur.training.checkpoint_check
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"
local selection = require "secateur.training.selection"
local tensors = require "secateur.util.tensors"

local checkpoint_check = {}

local function expected(field, what, value)
  errors.raise("record: %s: expected %s, got %s", field, what, options.describe(value))
end

-- ---- the record ----

local function is_finite(value) return math.type(value) ~= nil and value - value == 0 end
local function is_share(value) return is_finite(value) and value >= 0 and value <= 1 end
local function is_not_negative(value) return math.type(value) ~= nil and value >= 0 end
local function is_rate(value) return is_finite(value) and value >= 0 end
local function is_count(value) return math.type(value) == "integer" and value >= 0 end

local number, share = { is_finite, "a finite number" }, { is_share, "a number in [0, 1]" }
local not_negative, count = { is_not_negative, "a number of at least 0" }, { is_count, "a whole number of at least 0" }
local rate = { is_rate, "a finite number of at least 0" }

-- Fields of a row; those that begin with val_ are there where there is validation.
local row_fields = { epoch = count, lr = rate, train_loss = number, train_accuracy = share, val_loss = number,
  val_accuracy = share, val_auroc = share, seconds = not_negative, images_per_second = not_negative, group_lrs = true }

local function check_rates(field, rates, groups)
  if groups == 0 and rates == nil then return end
  if type(rates) ~= "table" or #rates ~= groups then
    expected(field, ("the rates of %d groups"):format(groups), rates)
  end
  for i = 1, groups do
    if not is_rate(rates[i]) then expected(("%s[%d]"):format(field, i), rate[2], rates[i]) end
  end
end

local function check_row(row, i, training)
  local place = ("rows[%d]"):format(i)
  if type(row) ~= "table" then expected(place, "a table", row) end
  for key in pairs(row) do
    if not row_fields[key] then errors.raise("record: %s: unknown field %s", place, options.describe(key)) end
  end
  for _, field in ipairs(options.sorted_keys(row_fields)) do
    local rule, value, of_validation = row_fields[field], row[field], field:find "^val_" ~= nil
    local optional = field == "val_auroc" and training.select ~= "auroc"
    if rule ~= true and of_validation and not training.validates then
      rule = { function(it) return it == nil end, "nothing, as there is no validation" }
    end
    if rule ~= true and not (optional and value == nil) and not rule[1](value) then
      expected(place .. "." .. field, rule[2], value)
    end
  end
  check_rates(place .. ".group_lrs", row.group_lrs, training.groups)
  if row.epoch ~= i then expected(place .. ".epoch", tostring(i), row.epoch) end
end

local record_fields = { epoch = true, best_epoch = true, rows = true, skipped = true }

local function check_record(record, training)
  for key in pairs(record) do
    if not record_fields[key] then errors.raise("record: unknown field %s", options.describe(key)) end
  end
  local epoch, rows, best = record.epoch, record.rows, nil
  if not is_count(epoch) or epoch < 1 then expected("epoch", "a whole number of at least 1", epoch) end
  if record.skipped ~= nil and not is_count(record.skipped) then expected("skipped", count[2], record.skipped) end
  if type(rows) ~= "table" then expected("rows", "a list", rows) end
  for i = 1, epoch do
    check_row(rows[i], i, training)
    if selection.is_better(training.select, rows[i], rows[best]) then best = i end
  end
  for key in pairs(rows) do
    if math.type(key) ~= "integer" or key < 1 or key > epoch then
      errors.raise("record: rows: expected %d, one per epoch, got another at %s", epoch, options.describe(key))
    end
  end
  if record.best_epoch ~= best then
    expected("best_epoch", ("%d, which the rows say"):format(best), record.best_epoch)
  end
end

-- ---- the tensors ----

local function shape_text(tensor)
  return ("%s [%s]"):format(tensor:dtype(), table.concat(tensor:shape(), "x"))
end

local function check_like(name, tensor, like)
  if not tensor then errors.raise("tensor '%s': missing", name) end
  if shape_text(tensor) ~= shape_text(like) then
    errors.raise("tensor '%s': expected %s, got %s", name, shape_text(like), shape_text(tensor))
  end
end

-- What is counted stays far below this.
local MOST = 1 << 53

-- Second moments may overflow, and nothing comes of it; below 0 they are not, nor are variances.
local function check_values(name, tensor)
  if tensor:numel() == 0 then return end
  if tensor:dtype() == "int64" then
    for _, value in ipairs(tensor:reshape(tensor:numel()):totable()) do
      if value < 0 or value > MOST then
        errors.raise("tensor '%s': expected whole numbers in 0..%d, got %d", name, MOST, value)
      end
    end
    return
  end
  local second = name:find "^optimiser/v/" ~= nil
  local sum = second and tensor:sum()
  if not second and not tensors.finite(tensor) then
    errors.raise("tensor '%s': expected finite numbers", name)
  elseif sum ~= sum or (second or name:find "%.running_var$") and (tensor * -1):max() > 0 then
    errors.raise("tensor '%s': expected numbers of at least 0", name)
  end
end

-- One part of the state, against tensors of the shapes that it must have; nil for a part that must not be there.
local function check_part(part, given, like)
  given = given or {}
  for _, name in ipairs(options.sorted_keys(given)) do
    if not like or not like[name] then
      errors.raise("tensor %s: unexpected", options.describe(part .. "/" .. name))
    end
  end
  for _, name in ipairs(options.sorted_keys(like or {})) do
    check_like(part .. "/" .. name, given[name], like[name])
    check_values(part .. "/" .. name, given[name])
  end
end

local function check_steps(steps, epoch, most)
  local value = steps:get(1)
  if value < epoch or value > most * epoch then
    errors.raise("tensor 'optimiser/steps': expected %d to %d, got %d", epoch, most * epoch, value)
  end
end

local function check_images(images, counts)
  for name, tensor in pairs(images or {}) do
    local shape, wanted = tensor:shape(), counts[name]
    if not wanted then errors.raise("tensor %s: unexpected", options.describe("images/" .. name)) end
    if tensor:dtype() ~= "int64" or #shape ~= 2 or shape[1] ~= wanted or shape[2] ~= 3 then
      errors.raise("tensor 'images/%s': expected int64 [%dx3], got %s", name, wanted, shape_text(tensor))
    end
  end
end

--- Raises unless a state is one that the training may go on from; the message names the field or the tensor.
-- @tab state as `checkpoint.load` gives it
-- @tab training `select`, `validates` (boolean), `groups` (how many), `steps` (at most, of an epoch), `counts` (split
--   -> images), and as they are now, for their shapes: `model`, `optimiser`, `average` (name -> Tensor; nil where there
--   is none)
function checkpoint_check.state(state, training)
  local record = state.record
  check_record(record, training)
  check_part("model", state.model, training.model)
  check_part("optimiser", state.optimiser, training.optimiser)
  check_part("average", state.average, training.average)
  -- Where the best epoch is the last, its weights are those of the model, or the average.
  check_part("best", state.best, record.best_epoch ~= record.epoch and training.model or nil)
  check_steps(state.optimiser.steps, record.epoch, training.steps)
  check_images(state.images, training.counts)
end

return checkpoint_check
