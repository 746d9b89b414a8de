--- Comma-separated values after RFC 4180: quoted fields, doubled quotes, line breaks inside quotes. Any one-byte
-- separator; a byte order mark and any of the three line endings are accepted, blank lines skipped. Malformed text is
-- never guessed at: `nil, "file:line: what is wrong"`.
-- @module secateur.util.csv
local files = require "secateur.util.files"

local csv = {}

-- Far above any list of images, and small enough that a wrong file does not fill the memory.
local MAX_BYTES = 256 * 1024 * 1024
local MAX_FIELDS = 4096

local function count_breaks(text, first, last)
  local count, position = 0, first
  while true do
    local at, final = text:find("[\r\n]", position)
    if not at or at > last then return count end
    if text:sub(at, at + 1) == "\r\n" then final = at + 1 end
    count, position = count + 1, final + 1
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
      return (value:gsub('""', '"')), at + 1, count_breaks(text, start + 1, at - 1)
    end
    position = at + 2
  end
end

-- A pattern class for the separator and line ends.
local function stop_pattern(separator)
  return '[\r\n"' .. separator:gsub("%W", "%%%0") .. "]"
end

-- The state of reading one text: position, line, and what to call it in messages.
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
    if not value then return self:fault("a quoted field has no closing quote") end
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

-- Reads one row: a list of strings with `line`, the line it starts on.
function Reader:row()
  local row = { line = self.line }
  while true do
    local value, message = self:field()
    if not value then return nil, message end
    row[#row + 1] = value
    if #row > MAX_FIELDS then return self:fault(("more than %d fields in a row"):format(MAX_FIELDS)) end
    if self.text:sub(self.position, self.position) ~= self.separator then return row end
    self.position = self.position + 1
  end
end

--- Reads a text into rows of fields.
-- @string text
-- @tab[opt] opts `separator` (","), `name` (what to call the text in messages, "csv")
-- @treturn[1] table list of rows; a row is a list of strings with `line`, the line it starts on
-- @return[2] nil
-- @treturn[2] string `name:line: message`
function csv.parse(text, opts)
  local separator = opts and opts.separator or ","
  assert(#separator == 1 and not separator:find('[\r\n"%z]'), "csv: separator: expected one byte, not a quote or break")
  local reader = setmetatable({ text = text, position = 1, line = 1, name = opts and opts.name or "csv",
    separator = separator, stop = stop_pattern(separator) }, Reader)
  if text:sub(1, 3) == "\239\187\191" then reader.position = 4 end
  local zero = text:find("\0", 1, true)
  if zero then
    reader.line = 1 + count_breaks(text, 1, zero)
    local mark = text:sub(1, 2)
    return reader:fault("a zero byte; this is not UTF-8 or ASCII text"
      .. ((mark == "\xFF\xFE" or mark == "\xFE\xFF") and " but UTF-16: save it as UTF-8" or ""))
  end
  local rows = {}
  while reader.position <= #text do
    local byte = text:byte(reader.position)
    if byte ~= 10 and byte ~= 13 then
      local row, message = reader:row()
      if not row then return nil, message end
      rows[#rows + 1] = row
    end
    if reader.position <= #text then reader:skip_break() end
  end
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

--- Reads a file into rows of fields.
-- @string path
-- @tab[opt] opts `separator` (","; "detect": a comma, semicolon or tab, whichever the first line has most of),
-- `max_bytes` (256 MiB)
-- @treturn[1] table as `parse` gives
-- @return[2] nil
-- @treturn[2] string `path:line: message`, or why the file could not be read
function csv.read(path, opts)
  local text, message = files.read_all(path, opts and opts.max_bytes or MAX_BYTES)
  if not text then return nil, message end
  local separator = opts and opts.separator
  if separator == "detect" then separator = detect(text) end
  return csv.parse(text, { separator = separator, name = path })
end

local function trim(text)
  return (text:match("^%s*(.-)%s*$"))
end

-- Column name -> position, for the first row.
local function read_header(path, header, columns)
  local where, names, twice = {}, {}, {}
  for i, field in ipairs(header or {}) do
    local name = trim(field)
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
  local rows, message = csv.read(path, opts)
  if not rows then return nil, message end
  local where, problem = read_header(path, rows[1], columns)
  if not where then return nil, problem end
  local records, width, wanted = {}, #rows[1], table.move(columns, 1, #columns, 1, {})
  for _, column in ipairs(opts and opts.optional or {}) do
    if where[column] then wanted[#wanted + 1] = column end
  end
  for i = 2, #rows do
    local row = rows[i]
    if #row ~= width then
      return nil, ("%s:%d: expected %d fields, got %d"):format(path, row.line, width, #row)
    end
    local record = { line = row.line }
    for _, column in ipairs(wanted) do record[column] = trim(row[where[column]]) end
    records[#records + 1] = record
  end
  return records
end

-- A number as the shortest text that reads back the same.
local function number_text(value)
  if math.type(value) == "integer" then return tostring(value) end
  if value ~= value then return "nan" end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(value)
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

--- Writes records, as `records` reads them: a line of names, then a line of fields for each.
-- @string path
-- @tab names of the columns, in order
-- @tab records tables of name -> value; what is absent stays empty
-- @treturn[1] boolean true
-- @return[2] nil
-- @treturn[2] string what went wrong, naming the file
function csv.write_records(path, names, records)
  local lines = { names }
  for i, record in ipairs(records) do
    lines[i + 1] = { n = #names }
    for j, name in ipairs(names) do lines[i + 1][j] = record[name] end
  end
  return csv.write(path, lines)
end

return csv
