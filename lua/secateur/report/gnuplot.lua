--- Draws with gnuplot. A figure is a script that carries its data, kept beside the pictures it makes so that it can be
-- restyled and run again by hand. Text from outside only ever gets into a script through `quote`, which leaves nothing
-- for gnuplot to expand or execute, and file names in scripts are made here, from safe letters.
-- @module secateur.report.gnuplot
local files = require "secateur.util.files"

local gnuplot = {}

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- A text as a gnuplot string. Single quotes: gnuplot neither runs backquotes nor reads escapes inside.
-- @string text
-- @treturn string
function gnuplot.quote(text)
  while true do
    local length, bad = utf8.len(text)
    if length then break end
    text = text:sub(1, bad - 1) .. "?" .. text:sub(bad + 1)
  end
  return "'" .. text:gsub("%c+", " "):gsub("'", "''") .. "'"
end

--- Whether the program is there; the message says what to install.
-- @string program a name or a path
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function gnuplot.check(program)
  if os.execute("command -v " .. shell_quote(program) .. " >/dev/null 2>&1") then return true end
  return nil, ("'%s' not found: figures are drawn with gnuplot 5; install gnuplot-nox (Debian) or gnuplot")
    :format(program)
end

--- A file name made of safe letters, unlike those given before.
-- @string text
-- @tab taken names given before → true; added to
-- @treturn string
function gnuplot.slug(text, taken)
  local base = text:gsub("[^%w.-]+", "_"):gsub("^[._-]+", ""):sub(1, 80)
  if base == "" then base = "figure" end
  local name, count = base, 1
  while taken[name:lower()] do
    count = count + 1
    name = base .. "-" .. count
  end
  taken[name:lower()] = true
  return name
end

local preamble = [[
set encoding utf8
set terminal svg size %d,%d fixed standalone noenhanced font 'Helvetica,Arial,sans-serif,13' \
  background rgb 'white'
set output '%s.svg'
]]

local raster = [[

set terminal pngcairo size %d,%d noenhanced font 'Liberation Sans,10' fontscale 2 \
  linewidth 2 pointscale 2 dashlength 2
set output '%s.png'
]]

--- Draws a figure as NAME.svg and NAME.png (at twice the size), and keeps the script as NAME.gp.
-- @tab figure `{folder=, name= (a slug), width=, height= (points), data= (datablock name → lines of numbers),
-- body= (the commands; run once per terminal), program= ("gnuplot")}`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string what gnuplot said
function gnuplot.draw(figure)
  local parts = { "# gnuplot " .. figure.name .. ".gp\n" }
  local names = {}
  for name in pairs(figure.data or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    parts[#parts + 1] = ("$%s << EOD\n%s\nEOD\n"):format(name, table.concat(figure.data[name], "\n"))
  end
  local name, width, height = figure.name, figure.width, figure.height
  parts[#parts + 1] = preamble:format(width, height, name) .. figure.body .. "unset output\nreset\n"
  parts[#parts + 1] = raster:format(2 * width, 2 * height, name) .. figure.body .. "unset output\n"
  local script = files.join(figure.folder, name .. ".gp")
  local written, message = files.write_all(script, table.concat(parts))
  if not written then return nil, message end
  local pipe, failure = io.popen(("cd -- %s && LC_ALL=C.UTF-8 %s %s.gp 2>&1"):format(shell_quote(figure.folder),
    shell_quote(figure.program or "gnuplot"), name), "r")
  if not pipe then return nil, failure end
  local said = pipe:read("a")
  local good = pipe:close()
  if not good then return nil, ("gnuplot could not draw %s: %s"):format(script, said:gsub("%s+", " ")) end
  return true
end

return gnuplot
