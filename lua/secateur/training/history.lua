--- The course of a training: a row per epoch, which prints and draws itself.
-- @module secateur.training.history
local skipped_note = require "secateur.util.skipped_note"
local text_table = require "secateur.util.text_table"
local visible = require "secateur.util.visible"

local history = {}

--- What `train` gives: a list with a row per epoch, `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=,
-- val_auroc=, lr=, seconds=, images_per_second=}`. Printed, it is a table.
-- @type History
-- @field best_epoch whose weights the model has
-- @field stopped why the training ended before its last epoch, or nil
-- @field skipped how many images were left out because they could not be read, 0 where none were

local columns = {
  { "epoch", "%d", "epoch" },
  { "lr", "%s", "lr" },
  { "train loss", "%.4f", "train_loss" },
  { "accuracy", "%.4f", "train_accuracy" },
  { "val loss", "%.4f", "val_loss" },
  { "accuracy", "%.4f", "val_accuracy" },
  { "AUROC", "%.4f", "val_auroc", optional = true },
  { "seconds", "%.1f", "seconds" },
  { "images/s", "%.1f", "images_per_second" },
}

--- The learning rates of an epoch's last step as text: the main one, then those of the groups.
-- @tab row
-- @treturn string
function history.rates(row)
  local rates = {}
  for i, rate in ipairs { row.lr, table.unpack(row.group_lrs or {}) } do rates[i] = ("%.3g"):format(rate) end
  return table.concat(rates, ", ")
end

-- All but those that no row has anything in and that are optional.
local function columns_of(rows)
  local list = {}
  for _, column in ipairs(columns) do
    local wanted = not column.optional
    for _, row in ipairs(rows) do wanted = wanted or row[column[3]] ~= nil end
    if wanted then list[#list + 1] = column end
  end
  return list
end

local function cells_of(row, shown)
  local cells = {}
  for i, column in ipairs(shown) do
    local value = row[column[3]]
    if column[3] == "lr" then value = history.rates(row) end
    cells[i] = value and column[2]:format(value) or "-"
  end
  return cells
end

local function to_text(self)
  local rows, shown = { {} }, columns_of(self)
  for i, column in ipairs(shown) do rows[1][i] = column[1] end
  for i, row in ipairs(self) do rows[i + 1] = cells_of(row, shown) end
  local lines = {}
  for line in (text_table.format(rows, 0) .. "\n"):gmatch "(.-)\n" do
    local row = self[#lines]
    lines[#lines + 1] = line .. (row and row.epoch == self.best_epoch and "  kept" or "")
  end
  if self.stopped then lines[#lines + 1] = visible(self.stopped) end
  lines[#lines + 1] = skipped_note(self.skipped)
  return table.concat(lines, "\n")
end

--- Draws the curves as PATH.svg and PATH.png.
-- @function History:draw
-- @string path with or without an extension
-- @tab[opt] opts `title`, `gnuplot`
local function draw(self, path, opts)
  return require("secateur.report").training(self, path, opts)
end

--- Turns rows into a history: the list as it is, with `tostring(h)` a table, `h.best_epoch` (whose weights the model
-- has) and `h:draw(path)`, which draws the curves as PATH.svg and PATH.png.
-- @tab rows list of `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, val_auroc=, lr=, seconds=,
-- images_per_second=}`
-- @int best_epoch
-- @tparam[opt] string stopped why it ended before its last epoch
-- @int[opt=0] left_out how many images could not be read
-- @treturn table the same list
function history.new(rows, best_epoch, stopped, left_out)
  return setmetatable(rows, { __name = "History", __tostring = to_text,
    __index = { best_epoch = best_epoch, stopped = stopped, skipped = left_out or 0, draw = draw } })
end

return history
