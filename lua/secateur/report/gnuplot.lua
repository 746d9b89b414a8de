--- Draws with gnuplot. A figure is a script that carries its data, kept beside the pictures it makes so that it can be
-- restyled and run again by hand. Text from outside only ever gets into a script through `quote`, which leaves nothing
-- for gnuplot to expand or execute, and file names in scripts are made here, from safe letters.
-- @module secateur.report.gnuplot
local decimal = require "secateur.util.decimal"
local errors = require "secateur.util.errors"
local files = require "secateur.util.files"
local fonts = require "secateur.report.fonts"
local picture_files = require "secateur.report.picture_files"
local staging = require "secateur.util.staging"
local visible = require "secateur.util.visible"

local gnuplot = {}

local function shell_quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function octal(char) return ("\\%03o"):format(char:byte()) end

--- A text as a gnuplot string, on one line. In double quotes, with what these or gnuplot's reading of lines would take
-- for anything as the number of its character: gnuplot 5.4 loses doubled apostrophes at the beginning of single quotes.
-- @string text
-- @treturn string
function gnuplot.quote(text)
  return '"' .. visible((text:gsub("[\t\r\n]+", " "))):gsub("[\"'\\`@]", octal) .. '"'
end

--- Whether the program is there; the message says what to install, or why that could not be found out.
-- @string program a name or a path
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function gnuplot.check(program)
  local found, how, code = os.execute("command -v " .. shell_quote(program) .. " >/dev/null 2>&1")
  if found then return true end
  if how == "exit" and (code == 1 or code == 127) then
    return nil, ("'%s' not found: figures are drawn with gnuplot 5; install gnuplot-nox (Debian) or gnuplot")
      :format(program)
  end
  -- too many processes or open files, too little memory
  local ended = how == "exit" or how == "signal"
  return nil, ("'%s' could not be looked for: %s"):format(program,
    ended and ("the shell ended with %s %d"):format(how, code) or tostring(how))
end

--- Whether a gnuplot can make a kind of pictures.
-- @string program a name or a path
-- @string terminal such as "pdfcairo"
-- @treturn boolean
function gnuplot.has_terminal(program, terminal)
  local pipe <close> = io.popen(("%s -e 'set print \"-\"; print GPVAL_TERMINALS' 2>/dev/null"):format(
    shell_quote(program)), "r")
  local said = pipe and pipe:read("a") or ""
  return (" " .. said:gsub("%s+", " ") .. " "):find(" " .. terminal .. " ", 1, true) ~= nil
end

--- A file name made of safe letters, unlike those given before.
-- @string text
-- @tab taken names given before → true; added to
-- @treturn string
function gnuplot.slug(text, taken)
  local base = text:gsub("[^A-Za-z0-9.-]+", "_"):gsub("^[._-]+", ""):sub(1, 80)
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

-- The same as PDF, of the same size as the SVG on paper: a CSS pixel is 1/96 inch.
local function pdf_terminal(width, height)
  return { "pdf", ("pdfcairo size %sin,%sin noenhanced font 'Liberation Sans,10' fontscale 0.75 linewidth 1.5 "
    .. "pointscale 1 dashlength 1"):format(decimal("%.6f", width / 96), decimal("%.6f", height / 96)) }
end

--- The terminals of a figure that is to be printed: SVG, PDF, and PNG with so many pixels.
-- @int width pixels
-- @int height pixels
-- @number scale pixels per point (1/72 inch)
-- @number font points
-- @treturn table for `draw`
function gnuplot.print_terminals(width, height, scale, font)
  local screen = 96 / 72 -- CSS pixels per point; the Cairo terminals take a point for one of these
  local points = decimal("%g", font)
  return {
    { "svg", ("svg size %.0f,%.0f fixed standalone noenhanced font 'Helvetica,Arial,sans-serif,%s' fontscale %s "
      .. "linewidth %s background rgb 'white'"):format(width / scale * screen, height / scale * screen, points,
      decimal("%.6f", screen), decimal("%.6f", screen)) },
    { "pdf", ("pdfcairo size %sin,%sin noenhanced font 'Liberation Sans,%s' fontscale 0.75 linewidth 1"):format(
      decimal("%.6f", width / scale / 72), decimal("%.6f", height / scale / 72), points) },
    { "png", ("pngcairo size %d,%d noenhanced font 'Liberation Sans,%s' fontscale %s linewidth %s"):format(width,
      height, points, decimal("%.6f", scale / screen), decimal("%.6f", scale)) },
  }
end

-- The commands of a figure, with its pictures to be written below `place`.
local function script_of(figure, terminals, place)
  local parts = { "# gnuplot " .. figure.name .. ".gp\n" }
  local names = {}
  for name in pairs(figure.data or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    parts[#parts + 1] = ("$%s << EOD\n%s\nEOD\n"):format(name, table.concat(figure.data[name], "\n"))
  end
  local body = type(figure.body) == "string" and figure.body or figure.body(place)
  local drawable = fonts.drawable(body) -- what shows an SVG has fonts of its own
  for i, terminal in ipairs(terminals) do
    parts[#parts + 1] = ("%sset encoding utf8\nset terminal %s\nset output '%s%s.%s'\n%sunset output\n"):format(
      i > 1 and "reset\n\n" or "", terminal[2], place, figure.name, terminal[1],
      terminal[1] == "svg" and body or drawable)
  end
  return table.concat(parts)
end

-- Writes files, name → bytes, into the stage.
local function write_files(stage, contents)
  for name, bytes in pairs(contents) do
    local written, message = files.write_all(files.join(stage.path, name), bytes)
    if not written then return nil, message end
  end
  return true
end

-- Of a message no more is of use.
local MOST_SAID = 2000

-- Why gnuplot failed: what it said, or else how it ended.
local function reason_of(said, how, code)
  local words = said:sub(1, MOST_SAID):gsub("%s+", " "):match "^ ?(.*)$"
  if #said > MOST_SAID then return words .. "…" end
  if words:find "%S" then return (words:gsub(" $", "")) end
  return ("it said nothing, and ended with %s %d"):format(how == "exit" and "status" or how, code)
end

-- Runs the figure's script in its folder, the pictures going to the stage. Gives what gnuplot said where it failed.
local function run(figure, terminals, stage)
  local name = figure.name .. ".gp"
  local written, message = write_files(stage, { [name] = script_of(figure, terminals, stage.name .. "/") })
  if not written then return nil, message end
  local pipe <close>, failure = io.popen(("cd -- %s && LC_ALL=C.UTF-8 %s %s/%s 2>&1"):format(shell_quote(figure.folder),
    shell_quote(figure.program or "gnuplot"), stage.name, name), "r")
  if not pipe then return nil, failure end
  local said = pipe:read("a")
  local good, how, code = pipe:close()
  if good then return true end
  return nil, ("gnuplot could not draw %s: %s"):format(files.join(figure.folder, figure.name),
    reason_of(said, how, code))
end

-- The pictures that gnuplot wrote, by name.
local function gather(figure, terminals, stage)
  local pictures = {}
  for _, terminal in ipairs(terminals) do
    local extension = terminal[1]
    local name = ("%s.%s"):format(figure.name, extension)
    local bytes, unreadable = files.read_all(files.join(stage.path, name))
    if not bytes and files.is_file(files.join(stage.path, name)) then return nil, unreadable end
    if not bytes or not picture_files.is_complete(extension, bytes) then
      return nil, ("%s: gnuplot wrote %s and reported no error; is the disk full?"):format(
        files.join(figure.folder, name), bytes and "only a part of it" or "nothing")
    end
    local change = figure.finish and figure.finish[extension]
    if extension == "svg" then bytes = picture_files.well_formed(bytes) end
    pictures[name] = change and change(bytes) or bytes
  end
  return pictures
end

-- Everything is in the stage before the first file takes its place.
local function draw(figure, terminals, stage)
  local good, message = write_files(stage, figure.copies or {})
  if good then good, message = run(figure, terminals, stage) end
  if not good then return nil, message end
  local pictures
  pictures, message = gather(figure, terminals, stage)
  if not pictures then return nil, message end
  pictures[figure.name .. ".gp"] = script_of(figure, terminals, "")
  good, message = write_files(stage, pictures)
  if not good then return nil, message end
  return stage:publish()
end

--- Draws a figure as NAME.svg and NAME.png (at twice the size), and keeps the script as NAME.gp: all of them, or where
-- something goes wrong none.
-- @tab figure `{folder=, name= (a slug), width=, height= (points), data= (datablock name → lines of numbers),
-- body= (the commands; run once per terminal), program= ("gnuplot"), pdf= (whether to draw that as well),
-- terminals= (instead of width and height: a list of {extension, gnuplot terminal}), copies= (name → bytes of files
-- that go beside the pictures; body is then a function from what stands before the names of these to the commands),
-- finish= (extension → a function from the picture's bytes to those to keep)}`
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string what gnuplot said, or which picture is not whole
function gnuplot.draw(figure)
  local stage, message = staging.create(figure.folder, figure.name)
  if not stage then return nil, message end
  local terminals = figure.terminals or screen_terminals(figure.width, figure.height)
  if figure.pdf then terminals[#terminals + 1] = pdf_terminal(figure.width, figure.height) end
  local ok, good, problem = errors.catch(draw, figure, terminals, stage)
  stage:remove()
  if not ok then errors.rethrow(good) end
  return good, problem and stage:reword(problem)
end

return gnuplot
