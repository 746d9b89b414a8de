--- Comma-separated values after RFC 4180: quoted fields, doubled quotes, line breaks inside quotes. Any one-byte
-- separator; a byte order mark and any of the three line endings are accepted, blank lines skipped. Malformed text is
-- never guessed at: `nil, "file:line: what is wrong"`. Files are read in pieces, and of records only the columns that
-- are wanted stay.
-- @module secateur.util.csv
local decimal = require "secateur.util.decimal"
local files = require "secateur.util.files"
local visible = require "secateur.util.visible"

local csv = {}

-- Far above any list of images, and small enough that a wrong file ends soon.
local MAX_BYTES = 256 * 1024 * 1024
local MAX_FIELDS = 4096
-- What a row may have: masks are written into tables as runs of pixels. More comes of a quote that nobody closed.
local MAX_ROW = 16 * 1024 * 1024
-- How much is read at a time.
local PIECE = 64 * 1024

local function count_breaks(text)
  local count, position = 0, 1
  while true do
    local at = text:find("[\r\n]", position)
    if not at then return count end
    count, position = count + 1, at + (text:sub(at, at + 1) == "\r\n" and 2 or 1)
  end
end

-- Reads the quoted field that opens at `start`: value, position after it, line breaks inside it; or nil.
local function quoted(text, start)
  local position = start + 1
  while true do
    local at = text:find('"', position, true)
    if not at then return nil end
    if text:byte(at + 1) ~= 34 then
      local value = text:sub(start + 1, at - 1)
      return (value:gsub('""', '"')), at + 1, count_breaks(value)
    end
    position = at + 2
  end
end

-- A pattern class for the separator and line ends.
local function stop_pattern(separator)
  return '[\r\n"' .. separator:gsub("%W", "%%%0") .. "]"
end

-- The state of reading: of a text, or of a file, of which `text` is the part that is being read. `short` says that
-- the part ended before a row did.
local Reader = {}
Reader.__index = Reader

-- Gives nil and a message that says where.
function Reader:fault(message)
  return nil, ("%s:%d: %s"):format(self.name, self.line, message)
end

-- Reads one field; leaves the position on the separator, the line break or the end.
function Reader:field()
  local text = self.text
  if text:byte(self.position) == 34 then
    local value, after, breaks = quoted(text, self.position)
    if not value then
      self.short = true
      return self:fault("a quoted field has no closing quote")
    end
    self.line, self.position = self.line + breaks, after
    local following = text:sub(after, after)
    if following ~= "" and following ~= self.separator and following ~= "\r" and following ~= "\n" then
      return self:fault("expected a separator or the end of the line after a closing quote")
    end
    return value
  end
  local stop = text:find(self.stop, self.position) or #text + 1
  if text:byte(stop) == 34 then return self:fault("a quote inside an unquoted field") end
  local value = text:sub(self.position, stop - 1)
  self.position = stop
  return value
end

-- Steps over a line break, which may be two bytes.
function Reader:skip_break()
  local text, at = self.text, self.position
  self.position = at + (text:sub(at, at + 1) == "\r\n" and 2 or 1)
  self.line = self.line + 1
end

-- Reads one row and the line break behind it: a list of strings with `line`, the line it starts on.
function Reader:row()
  local row = { line = self.line }
  while true do
    local value, message = self:field()
    if not value then return nil, message end
    row[#row + 1] = value
    if #row > MAX_FIELDS then return self:fault(("more than %d fields in a row"):format(MAX_FIELDS)) end
    if self.text:sub(self.position, self.position) ~= self.separator then break end
    self.position = self.position + 1
  end
  if self.position <= #self.text then self:skip_break() end
  -- At the end of a part a quote may be the first of two, and a break too.
  self.short = self.position > #self.text
  return row
end

-- Steps over blank lines; false at the end of the part.
function Reader:skip_blank()
  while true do
    local byte = self.text:byte(self.position)
    if byte == nil then return false end
    if byte ~= 10 and byte ~= 13 then return true end
    if byte == 13 and self.position == #self.text and not self.ended then return false end -- "\n" may follow
    self:skip_break()
  end
end

-- Looks for zero bytes in the text from a place on.
function Reader:check_zero(from)
  -- Of a file's beginning, which is looked at first.
  if self.utf16 == nil then self.utf16 = self.text:find "^\xFF\xFE" ~= nil or self.text:find "^\xFE\xFF" ~= nil end
  local zero = self.text:find("\0", from, true)
  if not zero then return true end
  self.line = self.line + count_breaks(self.text:sub(self.position, zero))
  return self:fault("a zero byte; this is not UTF-8 or ASCII text" .. (self.utf16 and " but UTF-16: save it as UTF-8"
    or ""))
end

-- Replaces what was read by what comes next in the file, at least as much as is left: a long row is not begun again
-- once for each of its pieces.
function Reader:refill()
  local rest = self.text:sub(self.position)
  if #rest > MAX_ROW then return self:fault(("a row of more than %d bytes: is a quote left open?"):format(MAX_ROW)) end
  local more, problem = self.file:read(math.max(PIECE, #rest))
  if problem then return nil, ("%s: %s"):format(self.name, problem) end
  self.ended = more == nil
  self.bytes = self.bytes + #(more or "")
  if self.bytes > self.max_bytes then
    return nil, ("%s: larger than %d bytes: leave rows or columns out"):format(self.name, self.max_bytes)
  end
  self.text, self.position = rest .. (more or ""), 1
  return self:check_zero(#rest + 1)
end

-- The next row; nil at the end, and nil with a message for what is malformed.
function Reader:next()
  while true do
    if self:skip_blank() then
      local position, line = self.position, self.line
      local row, message = self:row()
      if self.ended or not self.short then return row, message end
      self.position, self.line = position, line
    elseif self.ended then
      return nil
    end
    self.short = false
    local ok, message = self:refill()
    if not ok then return nil, message end
  end
end

-- Calls a function with each row, until it gives a message; true, or nil and a message.
function Reader:each(take)
  while true do
    local row, message = self:next()
    if row then message = take(row) end
    if message then return nil, message end
    if not row then return true end
  end
end

local function is_separator(separator) return #separator == 1 and not separator:find '[\r\n"%z]' end

-- Begins with a text, whole or the first part.
function Reader:start(text, separator)
  assert(is_separator(separator), "csv: separator: expected one byte, not a quote or break")
  self.text, self.position, self.line = text, text:sub(1, 3) == "\239\187\191" and 4 or 1, 1
  self.separator, self.stop = separator, stop_pattern(separator)
  return self:check_zero(1)
end

--- Reads a text into rows of fields.
-- @string text
-- @tab[opt] opts `separator` (","), `name` (what to call the text in messages, "csv")
-- @treturn[1] table list of rows; a row is a list of strings with `line`, the line it starts on
-- @return[2] nil
-- @treturn[2] string `name:line: message`
function csv.parse(text, opts)
  local reader = setmetatable({ name = opts and opts.name or "csv", ended = true }, Reader)
  local rows = {}
  local ok, message = reader:start(text, opts and opts.separator or ",")
  if ok then ok, message = reader:each(function(row) rows[#rows + 1] = row end) end
  if not ok then return nil, message end
  return rows
end

-- The separator that the first line has most of, of those in use; a comma where it has none.
local function detect(text)
  local line, best, most = text:match("^[^\r\n]*"):gsub('"[^"]*"', ""), ",", 0
  for _, separator in ipairs { ",", ";", "\t" } do
    local _, count = line:gsub(separator, "")
    if count > most then best, most = separator, count end
  end
  return best
end

-- Calls a function with each row of a file, until it gives a message; true, or nil and a message.
local function each_row(path, opts, take)
  local file <close>, message = files.open(path)
  if not file then return nil, message end
  local reader = setmetatable({ name = path, file = file, text = "", position = 1, line = 1, bytes = 0,
    max_bytes = opts and opts.max_bytes or MAX_BYTES }, Reader)
  local ok, problem = reader:refill()
  if not ok then return nil, problem end
  local separator = opts and opts.separator or ","
  ok, problem = reader:start(reader.text, separator == "detect" and detect(reader.text) or separator)
  if not ok then return nil, problem end
  return reader:each(take)
end

--- Reads a file into rows of fields.
-- @string path
-- @tab[opt] opts `separator` (","; "detect": a comma, semicolon or tab, whichever the first line has most of),
-- `max_bytes` (256 MiB)
-- @treturn[1] table as `parse` gives
-- @return[2] nil
-- @treturn[2] string `path:line: message`, or why the file could not be read
function csv.read(path, opts)
  local rows = {}
  local ok, message = each_row(path, opts, function(row) rows[#rows + 1] = row end)
  if not ok then return nil, message end
  return rows
end

--- A text without the space around it, in linear time whatever space there is in it.
-- @string text
-- @treturn string
function csv.trim(text)
  local first = text:find "%S"
  return first and text:match("^.*%S", first) or ""
end

-- Column name -> position, for the first row.
local function read_header(path, header, columns)
  local where, names, twice = {}, {}, {}
  for i, field in ipairs(header or {}) do
    local name = csv.trim(field)
    twice[name] = where[name] ~= nil
    where[name], names[i] = i, ("'%s'"):format(name)
  end
  for _, column in ipairs(columns) do
    if twice[column] then return nil, ("%s:%d: column '%s' occurs twice"):format(path, header.line, column) end
    if not where[column] then
      return nil, ("%s: no column '%s'; its columns are: %s"):format(path, column,
        #names > 0 and table.concat(names, ", ") or "none (the file is empty)")
    end
  end
  return where
end

--- Reads a file whose first row names the columns. Space around names and values is dropped.
-- @string path
-- @tab columns the names of the columns that must be there; others are left out
-- @tab[opt] opts as `read`, and `optional`, a list of columns that are read where they are there
-- @treturn[1] table list of records: column name -> string, and `line`
-- @return[2] nil
-- @treturn[2] string what went wrong, naming file and line or column
function csv.records(path, columns, opts)
  local where, width
  local records, wanted = {}, table.move(columns, 1, #columns, 1, {})
  local function take(row)
    if not where then
      local problem
      where, problem = read_header(path, row, columns)
      if not where then return problem end
      width = #row
      for _, column in ipairs(opts and opts.optional or {}) do
        if where[column] then wanted[#wanted + 1] = column end
      end
      return nil
    end
    if #row ~= width then return ("%s:%d: expected %d fields, got %d"):format(path, row.line, width, #row) end
    local record = { line = row.line }
    for _, column in ipairs(wanted) do record[column] = csv.trim(row[where[column]]) end
    records[#records + 1] = record
    return nil
  end
  local ok, message = each_row(path, opts, take)
  if ok and not where then ok, message = read_header(path, nil, columns) end
  if not ok then return nil, message end
  return records
end

-- A number as the shortest text that reads back the same.
local function number_text(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value then return "nan" end
  for digits = 15, 17 do
    local text = decimal(("%%.%dg"):format(digits), value)
    if tonumber(text) == value or digits == 17 then return text end
  end
end

local function encode_field(value, special)
  if value == nil then return "" end
  if type(value) == "number" then return number_text(value) end
  local text = tostring(value)
  if text:find(special) then return '"' .. text:gsub('"', '""') .. '"' end
  return text
end

--- Writes rows as text. Numbers are written so that they read back the same; nil is an empty field.
-- @tab rows list of lists of strings, numbers, booleans or nil (`n` says how many, where the last may be nil)
-- @tab[opt] opts `separator` (","), `newline` ("\n"; RFC 4180 itself says "\r\n")
-- @treturn string
function csv.encode(rows, opts)
  local separator = opts and opts.separator or ","
  local newline = opts and opts.newline or "\n"
  local special = stop_pattern(separator)
  local lines = {}
  for i, row in ipairs(rows) do
    local fields = {}
    for j = 1, row.n or #row do fields[j] = encode_field(row[j], special) end
    local line = table.concat(fields, separator)
    -- A row of one empty field would read back as a blank line.
    lines[i] = line == "" and #fields == 1 and '""' or line
  end
  return #lines > 0 and table.concat(lines, newline) .. newline or ""
end

--- Writes rows to a file, whole or not at all.
-- @string path its folder is made where it is missing
-- @tab rows as `encode` takes
-- @tab[opt] opts as `encode` takes
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function csv.write(path, rows, opts)
  files.mkdir_p(files.directory(path)) -- where that fails, writing says why
  return files.write_all(path, csv.encode(rows, opts))
end

--- Writes records, as `records` reads them: a line of names, then a line of fields for each. Control characters and
-- bytes that are not UTF-8 are written as escapes (see secateur.util.visible): programs print such tables.
-- @string path
-- @tab names of the columns, in order
-- @tab records tables of name -> value; what is absent stays empty
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function csv.write_records(path, names, records)
  local lines = { {} }
  for j, name in ipairs(names) do lines[1][j] = visible(name) end
  for i, record in ipairs(records) do
    lines[i + 1] = { n = #names }
    for j, name in ipairs(names) do
      local value = record[name]
      lines[i + 1][j] = type(value) == "string" and visible(value) or value
    end
  end
  return csv.write(path, lines)
end

return csv
