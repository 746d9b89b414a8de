--- Draws with gnuplot. A figure is a script that carries its data, kept beside the pictures it makes so that it can be
-- restyled and run again by hand. Text from outside only ever gets into a script through `quote`, which leaves nothing
-- for gnuplot to expand or execute, and file names in scripts are made here, from safe letters.
-- @module secateur.report.gnuplot
local files = require "secateur.util.files"
local fonts = require "secateur.report.fonts"
local whole = require("secateur.report.text_width").whole

local gnuplot = {}

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- A text as a gnuplot string. Single quotes: gnuplot neither runs backquotes nor reads escapes inside.
-- @string text
-- @treturn string
function gnuplot.quote(text)
  return "'" .. whole(text):gsub("%c+", " "):gsub("'", "''") .. "'"
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

-- The terminals of a figure of so many points: SVG, and PNG at twice the size.
local function screen_terminals(width, height)
  return {
    { "svg", ("svg size %d,%d fixed standalone noenhanced font 'Helvetica,Arial,sans-serif,13' "
      .. "background rgb 'white'"):format(width, height) },
    { "png", ("pngcairo size %d,%d noenhanced font 'Liberation Sans,10' fontscale 2 linewidth 2 pointscale 2 "
      .. "dashlength 2"):format(2 * width, 2 * height) },
  }
end

--- The terminals of a figure that is to be printed: SVG, PDF, and PNG with so many pixels.
-- @int width pixels
-- @int height pixels
-- @number scale pixels per point (1/72 inch)
-- @number font points
-- @treturn table for `draw`
function gnuplot.print_terminals(width, height, scale, font)
  local screen = 96 / 72 -- CSS pixels per point; the Cairo terminals take a point for one of these
  return {
    { "svg", ("svg size %.0f,%.0f fixed standalone noenhanced font 'Helvetica,Arial,sans-serif,%g' fontscale %.6f "
      .. "linewidth %.6f background rgb 'white'"):format(width / scale * screen, height / scale * screen, font, screen,
      screen) },
    { "pdf", ("pdfcairo size %.6fin,%.6fin noenhanced font 'Liberation Sans,%g' fontscale 0.75 linewidth 1"):format(
      width / scale / 72, height / scale / 72, font) },
    { "png", ("pngcairo size %d,%d noenhanced font 'Liberation Sans,%g' fontscale %.6f linewidth %.6f"):format(width,
      height, font, scale / screen, scale) },
  }
end

--- Draws a figure as NAME.svg and NAME.png (at twice the size), and keeps the script as NAME.gp.
-- @tab figure `{folder=, name= (a slug), width=, height= (points), data= (datablock name → lines of numbers),
-- body= (the commands; run once per terminal), program= ("gnuplot"), terminals= (instead of width and height: a list
-- of {extension, gnuplot terminal})}`
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
  local name, drawable = figure.name, fonts.drawable(figure.body) -- what shows an SVG has fonts of its own
  for i, terminal in ipairs(figure.terminals or screen_terminals(figure.width, figure.height)) do
    parts[#parts + 1] = ("%sset encoding utf8\nset terminal %s\nset output '%s.%s'\n%sunset output\n"):format(
      i > 1 and "reset\n\n" or "", terminal[2], name, terminal[1], terminal[1] == "svg" and figure.body or drawable)
  end
  local script = files.join(figure.folder, name .. ".gp")
  local written, message = files.write_all(script, table.concat(parts))
  if not written then return nil, message end
  local pipe <close>, failure = io.popen(("cd -- %s && LC_ALL=C.UTF-8 %s %s.gp 2>&1"):format(shell_quote(figure.folder),
    shell_quote(figure.program or "gnuplot"), name), "r")
  if not pipe then return nil, failure end
  local said = pipe:read("a")
  local good = pipe:close()
  if not good then return nil, ("gnuplot could not draw %s: %s"):format(script, said:gsub("%s+", " ")) end
  return true
end

return gnuplot
