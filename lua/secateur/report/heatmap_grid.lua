--- Sheets of pictures for print: a row per sample, a column per method, titles on both sides, a colour bar below. Made
-- of PNG files; every panel covers a whole number of pixels of the sheet per pixel of its own, so that none is blurred
-- or skipped.
-- @module secateur.report.heatmap_grid
local decimal = require "secateur.util.decimal"
local files = require "secateur.util.files"
local gnuplot = require "secateur.report.gnuplot"
local text_width = require "secateur.report.text_width"

local heatmap_grid = {}

-- Lengths in points, 1/72 inch.
local FONT, LEADING = 7, 8.6
local MARGIN, GAP, ROW_GAP = 2, 3, 3
local WIDEST_PANEL, NARROWEST_PANEL = 120, 32
local BAR_WIDTH, BAR_HEIGHT = 150, 5
-- What a picture library can hold.
local MOST_PIXELS = 32000

--- Width and height in pixels of a PNG, from its first bytes.
-- @string png
-- @treturn[1] int
-- @treturn[1] int
-- @return[2] nil
function heatmap_grid.size(png)
  if #png < 24 or png:sub(1, 8) ~= "\137PNG\r\n\26\n" then return nil end
  local width, height = string.unpack(">I4I4", png, 17)
  if width > 0 and height > 0 then return width, height end
end

-- The checksum of a PNG chunk (ISO 3309's CRC 32).
local function checksum(bytes)
  local crc = 0xFFFFFFFF
  for i = 1, #bytes do
    crc = crc ~ bytes:byte(i)
    for _ = 1, 8 do crc = crc & 1 == 1 and crc >> 1 ~ 0xEDB88320 or crc >> 1 end
  end
  return crc ~ 0xFFFFFFFF
end

--- A PNG that says how large it is on paper: a pHYs chunk behind the header. Gnuplot leaves it out, and then programs
-- that set pages assume what they like.
-- @string png
-- @number dpi pixels per inch
-- @treturn string
function heatmap_grid.with_resolution(png, dpi)
  local per_metre = math.floor(dpi / 0.0254 + 0.5)
  local chunk = string.pack(">c4I4I4B", "pHYs", per_metre, per_metre, 1)
  return png:sub(1, 33) .. string.pack(">I4", #chunk - 4) .. chunk .. string.pack(">I4", checksum(chunk)) .. png:sub(34)
end

-- A picture's bytes and size.
local function load(path)
  local png, message = files.read_all(path)
  if not png then return nil, message end
  local width, height = heatmap_grid.size(png)
  if not width then return nil, path .. ": expected a PNG file, got something else" end
  return { bytes = png, width = width, height = height }
end

-- Gives a picture a name in the figure's folder that gnuplot cannot misread: it stays where it is if it has one, unless
-- a copy is wanted; else its bytes are added to `copies`, by name.
local function place_file(picture, path, opts, copies, ...)
  picture.file = files.base(path)
  if not opts.copy and files.directory(path) == opts.folder and picture.file:find("^[A-Za-z0-9][A-Za-z0-9._-]*$") then
    return
  end
  picture.file = ("%s-%s-%d.png"):format(opts.name, ...)
  copies[picture.file] = picture.bytes
end

-- The pictures of all panels, [row][column]; or nil, message.
local function gather_panels(samples, opts, copies)
  local grid = {}
  for i, sample in ipairs(samples) do
    grid[i] = {}
    for j, image in ipairs(sample.images) do
      local picture, message = load(image.path)
      if not picture then return nil, message end
      place_file(picture, image.path, opts, copies, i, j)
      grid[i][j] = picture
    end
  end
  return grid
end

-- The colour bars that differ, {picture=, bar=}; or nil, message.
local function gather_bars(samples, opts, copies)
  local bars, known = {}, {}
  for _, sample in ipairs(samples) do
    for _, bar in ipairs(sample.bars or {}) do
      local picture, message = load(bar.path)
      if not picture then return nil, message end
      local key = table.concat({ bar.low, bar.middle or "", bar.high, bar.title or "", bar.caption or "",
        picture.bytes }, "\0")
      if not known[key] then
        known[key], bars[#bars + 1] = true, { picture = picture, bar = bar }
        place_file(picture, bar.path, opts, copies, "bar", #bars)
      end
    end
  end
  return bars
end

-- Lines of text beside each row, and the width that they need.
local function side_titles(samples, most)
  local rows, widest = {}, 0
  for i, sample in ipairs(samples) do
    local lines = {}
    for _, line in ipairs(sample.lines or { sample.title }) do
      for _, part in ipairs(text_width.wrap(line, most, FONT)) do lines[#lines + 1] = part end
    end
    for _, line in ipairs(lines) do widest = math.max(widest, text_width.width(line, FONT)) end
    rows[i] = lines
  end
  return rows, math.min(widest, most)
end

-- Labels above the columns: the first of each column that is there, wrapped to the panels' width.
local function head_titles(samples, columns, width)
  local heads, lines = {}, 0
  for j = 1, columns do
    local label
    for _, sample in ipairs(samples) do label = label or sample.images[j] and sample.images[j].label end
    heads[j] = text_width.wrap(label or "", width, FONT)
    lines = math.max(lines, #heads[j])
  end
  return heads, lines
end

-- How many pixels wide a panel is, at least `least`: a multiple of the widest picture's, unless that is too many.
local function panel_pixels(grid, least, columns)
  local widest = 1
  for _, row in ipairs(grid) do
    for _, picture in ipairs(row) do widest = math.max(widest, picture.width) end
  end
  local pixels = widest * math.ceil(least / widest)
  return (pixels <= 4 * least or pixels * columns < MOST_PIXELS / 4) and pixels or math.ceil(least)
end

-- What stands below the bars, each sentence once.
local function captions(bars)
  local list, known = {}, {}
  for _, each in ipairs(bars) do
    local caption = each.bar.caption
    if caption and not known[caption] then known[caption], list[#list + 1] = true, caption end
  end
  return list
end

-- All measures of the sheet, in pixels from its upper left corner.
local function layout(samples, grid, bars, opts)
  local columns, aspect, narrowest = 1, 0, NARROWEST_PANEL
  for i, sample in ipairs(samples) do
    columns = math.max(columns, #sample.images)
    for _, picture in ipairs(grid[i]) do aspect = math.max(aspect, picture.height / picture.width) end
  end
  local full = opts.width / 25.4 * 72
  local titles, side = side_titles(samples, math.max(70, 0.2 * full))
  side = side > 0 and side + 5 or 0
  local panel = (full - 2 * MARGIN - side - (columns - 1) * GAP) / columns
  panel = math.max(narrowest, math.min(WIDEST_PANEL, panel))
  local pixels = panel_pixels(grid, panel * opts.dpi / 72, columns)
  local scale = pixels / panel
  local function px(points) return math.floor(points * scale + 0.5) end
  local heads, head_lines = head_titles(samples, columns, panel + GAP)
  local page = { scale = scale, panel = pixels, panel_height = math.ceil(pixels * aspect), columns = columns,
    titles = titles, heads = heads, left = px(MARGIN + side), gap = px(GAP), margin = px(MARGIN), px = px }
  page.top = px(MARGIN + head_lines * LEADING + (head_lines > 0 and 2 or 0))
  page.width = page.left + columns * pixels + (columns - 1) * page.gap + page.margin
  page.rows, page.bottom = {}, page.top
  for i in ipairs(samples) do
    local height = math.max(page.panel_height, px(#titles[i] * LEADING))
    page.rows[i] = { top = page.bottom, height = height }
    page.bottom = page.bottom + height + px(ROW_GAP)
  end
  page.height = page.bottom - px(ROW_GAP) + page.margin
  if #bars > 0 then
    local titled = false
    for _, each in ipairs(bars) do titled = titled or each.bar.title ~= nil end
    page.bars = page.bottom + px(titled and 5 + LEADING or 5)
    page.height = page.bars + px(BAR_HEIGHT + (1.1 + #captions(bars)) * LEADING + 2)
  end
  return page
end

-- Commands that place text and pictures at pixels; `copies` are the pictures that lie where the figure's files are
-- written, the others in its folder.
local function new_canvas(page, copies)
  local canvas, labels, plots = {}, {}, {}
  local function across(x) return decimal("%.9f", x / page.width) end
  local function up(y) return decimal("%.9f", 1 - y / page.height) end
  local function at(x, y) return ("screen %s,%s"):format(across(x), up(y)) end

  function canvas.label(x, y, content, where)
    labels[#labels + 1] = ("set label %d %s at %s %s\n"):format(#labels + 1, gnuplot.quote(content), at(x, y), where)
  end

  function canvas.picture(picture, x, y, width, height)
    plots[#plots + 1] = { ("set lmargin at screen %s\nset rmargin at screen %s\nset tmargin at screen %s\n"
      .. "set bmargin at screen %s\n"):format(across(x), across(x + width), up(y), up(y + height)), picture.file }
  end

  function canvas.body(place)
    local commands = {}
    for i, plot in ipairs(plots) do
      commands[i] = ("%splot '%s%s' binary filetype=png with rgbimage\n"):format(plot[1],
        copies[plot[2]] and place or "", plot[2])
    end
    return table.concat { "unset tics\nunset key\nset border 15 lw 0.3 lc rgb '#777777'\nset autoscale xfix\n",
      "set autoscale yfix\nset multiplot\n", table.concat(labels), table.concat(commands, "unset label\n", 1, 1),
      "unset label\n", table.concat(commands, "", 2), "unset multiplot\n" }
  end

  return canvas
end

-- Lines of text around the height y.
local function label_lines(canvas, page, x, y, lines, where)
  local pitch = LEADING * page.scale
  for i, line in ipairs(lines) do
    canvas.label(x, y + (i - (#lines + 1) / 2) * pitch, line, where)
  end
end

-- Panels keep their proportions, in the middle of their cell.
local function place_panel(canvas, page, picture, x, row)
  local ratio = math.min(page.panel / picture.width, page.panel_height / picture.height)
  local width, height = picture.width * ratio, picture.height * ratio
  canvas.picture(picture, x + (page.panel - width) / 2, row.top + (row.height - height) / 2, width, height)
end

local function place_bar(canvas, page, each, x, y, width)
  local bar, height = each.bar, page.px(BAR_HEIGHT)
  if bar.title then
    local title = text_width.elide(bar.title, 1.3 * width / page.scale, FONT)
    canvas.label(x + width / 2, y - page.px(0.55 * LEADING), title, "center")
  end
  canvas.picture(each.picture, x, y, width, height)
  local below = y + height + page.px(0.62 * LEADING)
  canvas.label(x, below, bar.low, "left")
  if bar.middle then canvas.label(x + width / 2, below, bar.middle, "center") end
  canvas.label(x + width, below, bar.high, "right")
  return below
end

-- Bars side by side below the explanations, that is to the right of the first column.
local function place_bars(canvas, page, bars)
  local left = page.columns > 1 and page.left + page.panel + page.gap or page.left
  local room = (page.width - page.margin - left) / #bars
  local width, below = math.floor(math.min(page.px(BAR_WIDTH), 0.75 * room)), nil
  for i, each in ipairs(bars) do
    below = place_bar(canvas, page, each, left + math.floor((i - 0.5) * room - width / 2), page.bars, width)
  end
  for i, line in ipairs(captions(bars)) do
    local half = text_width.width(line, FONT) * page.scale / 2
    local centre = math.max(math.min((left + page.width - page.margin) / 2, page.width - page.margin - half),
      page.margin + half)
    canvas.label(centre, below + i * page.px(LEADING), line, "center")
  end
end

--- Draws a sheet as NAME.svg, NAME.pdf and NAME.png, and keeps the script as NAME.gp, and panels from elsewhere as
-- NAME-row-column.png.
-- @tab samples list of `{title=, lines= (the title as lines), images = {{label=, path=}, …}, bars = {{path=, low=,
-- middle=, high=, title=, caption=}, …}}`, the paths PNG files; what several bars have in common is drawn once
-- @tab opts `folder`, `name` (a slug), `width` (180 mm; less where few columns do not fill it, more where many do not
-- fit), `dpi` (300 at least), `gnuplot`, `copy` (whether all panels are to be kept under that name)
-- @treturn[1] boolean true
-- @treturn[2] nil
-- @treturn[2] string
function heatmap_grid.draw(samples, opts)
  local copies = {}
  local grid, message = gather_panels(samples, opts, copies)
  if not grid then return nil, message end
  local bars
  bars, message = gather_bars(samples, opts, copies)
  if not bars then return nil, message end
  local page = layout(samples, grid, bars, { width = opts.width or 180, dpi = opts.dpi or 300 })
  if page.width > MOST_PIXELS or page.height > MOST_PIXELS then
    return nil, ("a sheet of %d x %d pixels is too large: %d at most each way; draw fewer samples, or with fewer dots "
      .. "per inch"):format(page.width, page.height, MOST_PIXELS)
  end
  local canvas = new_canvas(page, copies)
  for j, lines in ipairs(page.heads) do
    local x = page.left + (j - 1) * (page.panel + page.gap) + page.panel / 2
    label_lines(canvas, page, x, page.top - page.px(2) - #lines * LEADING * page.scale / 2, lines, "center")
  end
  for i, row in ipairs(page.rows) do
    label_lines(canvas, page, page.margin, row.top + row.height / 2, page.titles[i], "left")
    for j, picture in ipairs(grid[i]) do
      place_panel(canvas, page, picture, page.left + (j - 1) * (page.panel + page.gap), row)
    end
  end
  if #bars > 0 then place_bars(canvas, page, bars) end
  return gnuplot.draw { folder = opts.folder, name = opts.name, body = canvas.body, copies = copies,
    program = opts.gnuplot, terminals = gnuplot.print_terminals(page.width, page.height, page.scale, FONT),
    finish = { png = function(png) return heatmap_grid.with_resolution(png, 72 * page.scale) end } }
end

return heatmap_grid
