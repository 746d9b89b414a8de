--- One line on a terminal that tells how far a long job is: done of total, rate, time left. Where the output is no
-- terminal (a log file), a whole line a minute, the first after a minute: what takes less says nothing.
-- @module secateur.util.progress
local methods = require "secateur.util.methods"
local options = require "secateur.util.options"
local visible = require "secateur.util.visible"

local progress = {}

-- Terminals are slow, eyes are slower.
local INTERVAL = 0.1
-- A log is read afterwards.
local LOG_INTERVAL = 60

--- A progress line; see `progress.new`.
-- @type Progress
local Progress = {}
Progress.__index = Progress
Progress.__name = "Progress"

local function positive_integer(value)
  return math.type(value) and value >= 1 and math.tointeger(value)
end

local rules = {
  total = { type = "integer", min = 0 },
  label = { type = "string", default = "" },
  unit = { type = "string", default = "" },
  terminal = { type = "boolean", required = true },
  log = { type = "boolean", default = false },
  weight = { type = "number", min = 0 },
  out = { type = { "userdata", "table" } },
  clock = { type = "function", default = os.time },
  width = { type = "integer", min = 10 },
}

--- Formats seconds as "0:07", "12:05" or "3:02:11".
-- @number seconds
-- @treturn string
function progress.duration(seconds)
  local whole = math.floor(math.max(seconds, 0) + 0.5)
  local hours, minutes = whole // 3600, whole // 60 % 60
  if hours > 0 then return ("%d:%02d:%02d"):format(hours, minutes, whole % 60) end
  return ("%d:%02d"):format(minutes, whole % 60)
end

-- "0.42", "3.7" or "1204": three digits that matter.
local function digits(rate)
  if rate >= 100 then return ("%.0f"):format(rate) end
  return (rate >= 10 and "%.1f" or "%.2f"):format(rate)
end

-- "25.0 images/s"; what is slow by the minute, or the hour.
local function rate_text(rate, unit)
  local name = "s"
  if rate < 0.1 then rate, name = 60 * rate, "min" end
  if rate < 0.1 then rate, name = 60 * rate, "h" end
  return digits(rate) .. (unit ~= "" and " " .. unit or "") .. "/" .. name
end

--- Makes a progress line. It writes nothing before the first `step` or `update`.
-- @tab opts `terminal` (whether `out` is one, e.g. `core.is_terminal()`; required), `log` (false; true: where it is
-- none, a line a minute), `total` (number of things to do, unknown by default), `weight` (how much work they all are,
-- where they differ: the time left goes by it), `label`, `unit` (such as "images"), `out` (io.stderr),
-- `clock` (a function that gives seconds: os.time, better `core.clock`), `width` (columns; the environment's COLUMNS,
-- or 80)
-- @treturn Progress
function progress.new(opts)
  local self = options.check("progress", opts, rules)
  self.out = self.out or io.stderr
  self.width = self.width or positive_integer(tonumber(os.getenv("COLUMNS"))) or 80
  self.done, self.note = 0, ""
  self.started = self.clock()
  self.log = self.log and not self.terminal
  if self.log then self.drawn = self.started end
  self.weight_done = 0
  return setmetatable(self, Progress)
end

--- How a job shows its progress by an option that is a boolean, or nil: nil is a line on a terminal and a line a minute
-- elsewhere, true the line in any case, false nothing.
-- @tparam ?boolean option
-- @tparam boolean is_terminal whether the output is one
-- @treturn boolean `terminal` of `new`
-- @treturn boolean `log` of `new`
function progress.modes(option, is_terminal)
  if option == nil then return is_terminal, not is_terminal end
  return option, false
end

-- The figures of the line: done of total, rate, time.
local function figures(self)
  local elapsed = self.clock() - self.started
  local rate = elapsed > 0 and self.done / elapsed or 0
  local count = self.total and ("%d/%d"):format(self.done, self.total) or ("%d"):format(self.done)
  local parts = { self.unit ~= "" and count .. " " .. self.unit or count }
  if rate > 0 then
    local share = self.weight and self.weight > 0 and math.min(1, self.weight_done / self.weight)
    parts[2] = rate_text(rate, self.unit)
    if self.total and self.done < self.total then
      local left = not share and (self.total - self.done) / rate or share > 0 and elapsed * (1 - share) / share
      parts[3] = left and progress.duration(left) .. " left" or nil
    elseif self.finished then
      parts[3] = "in " .. progress.duration(elapsed)
    end
  end
  return parts
end

local function columns_of(text) return utf8.len(text) or #text end

-- As many words of a text as fit, with a mark that there were more: half a number is another one. A first word without
-- digits may lose its end, at a character's start.
local function cut(text, columns)
  if columns_of(text) <= columns then return text end
  if columns < 2 then return "" end
  local kept = text:sub(1, (utf8.offset(text, columns + 2) or 0) - 1) -- no more is needed to see where words end
  while columns_of(kept) > columns - 1 do
    local shorter = kept:match "^(.*%S)%s+%S+%s*$"
    if not shorter then break end
    kept = shorter
  end
  if columns_of(kept) <= columns - 1 then return kept .. "…" end
  if kept:find "%d" then return "" end
  return kept:sub(1, (utf8.len(kept) and utf8.offset(kept, columns) or columns) - 1) .. "…"
end

local function join(...)
  local parts = {}
  for _, text in ipairs { ... } do
    if text ~= "" then parts[#parts + 1] = text end
  end
  return table.concat(parts, "  ")
end

--- The text of the line as it is now. A line that wraps could not be rewritten: where it is too long, the note loses
-- words and then the label its end; of the figures, rate and time go whole, and the count stays.
-- @int[opt] width columns that it may take
-- @treturn string
function Progress:text(width)
  local parts = figures(self)
  local middle, label, note = table.concat(parts, "  "), visible(self.label), visible(self.note)
  local text = join(label, middle, note)
  if not width or columns_of(text) <= width then return text end
  local function room(...) return width - columns_of(join(...)) - 2 end
  text = join(label, middle, cut(note, room(label, middle)))
  if columns_of(text) <= width then return text end
  while #parts > 1 and columns_of(middle) > width do
    table.remove(parts)
    middle = table.concat(parts, "  ")
  end
  return join(cut(label, room(middle)), middle)
end

-- Writes the line over the one that stands there.
function Progress:draw()
  self.drawn = self.clock()
  self.out:write("\r", self:text(self.width - 1), "\27[K")
  self.out:flush()
end

--- Sets how many are done, and redraws unless that happened less than 0.1 s ago.
-- @int done
-- @string[opt] note goes at the end of the line, e.g. "loss 0.41"
function Progress:update(done, note)
  self.done, self.note = done, note or self.note
  if self.finished then return end
  if self.log and self.clock() - self.drawn >= LOG_INTERVAL then
    self.drawn = self.clock()
    self.out:write(self:text(), "\n")
    self.out:flush()
  end
  if not self.terminal then return end
  if not self.drawn or self.clock() - self.drawn >= INTERVAL then self:draw() end
end

--- Counts work as done, of `weight`.
-- @number amount
function Progress:work(amount) self.weight_done = self.weight_done + amount end

--- Counts some more as done.
-- @int[opt=1] count
-- @string[opt] note as in `update`
function Progress:step(count, note)
  self:update(self.done + (count or 1), note)
end

--- Writes the last state and ends the line. Later calls do nothing.
-- @string[opt] note as in `update`
function Progress:finish(note)
  if self.finished then return end
  self.finished, self.note = true, note or self.note
  if not self.terminal then return end
  self:draw()
  self.out:write("\n")
end

--- Wipes the line, so that something else can be printed; the next update draws it again.
function Progress:clear()
  if not self.terminal or not self.drawn or self.finished then return end
  self.out:write("\r\27[K")
  self.out:flush()
  self.drawn = nil
end

-- A job that ends by an error leaves its line as it is, but not the cursor on it.
function Progress:__close(problem)
  if problem == nil then
    self:finish()
  elseif self.terminal and self.drawn and not self.finished then
    self.finished = true
    self.out:write("\n")
  end
end

methods.guard(Progress)

return progress
