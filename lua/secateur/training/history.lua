--- The course of a training: a row per epoch, which prints and draws itself.
-- @module secateur.training.history
local text_table = require "secateur.util.text_table"

local history = {}

--- What `train` gives: a list with a row per epoch, `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=,
-- lr=, seconds=, images_per_second=}`. Printed, it is a table.
-- @type History
-- @field best_epoch whose weights the model has

local columns = {
  { "epoch", "%d", "epoch" },
  { "lr", "%s", "lr" },
  { "train loss", "%.4f", "train_loss" },
  { "accuracy", "%.4f", "train_accuracy" },
  { "val loss", "%.4f", "val_loss" },
  { "accuracy", "%.4f", "val_accuracy" },
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

local function cells_of(row)
  local cells = {}
  for i, column in ipairs(columns) do
    local value = row[column[3]]
    if column[3] == "lr" then value = history.rates(row) end
    cells[i] = value and column[2]:format(value) or "-"
  end
  return cells
end

local function to_text(self)
  local rows = { {} }
  for i, column in ipairs(columns) do rows[1][i] = column[1] end
  for i, row in ipairs(self) do rows[i + 1] = cells_of(row) end
  local lines = {}
  for line in (text_table.format(rows, 0) .. "\n"):gmatch "(.-)\n" do
    local row = self[#lines]
    lines[#lines + 1] = line .. (row and row.epoch == self.best_epoch and "  kept" or "")
  end
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
-- @tab rows list of `{epoch=, train_loss=, train_accuracy=, val_loss=, val_accuracy=, lr=, seconds=,
-- images_per_second=}`
-- @int best_epoch
-- @treturn table the same list
function history.new(rows, best_epoch)
  return setmetatable(rows, { __name = "History", __tostring = to_text,
    __index = { best_epoch = best_epoch, draw = draw } })
end

return history
