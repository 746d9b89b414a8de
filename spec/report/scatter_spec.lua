-- Points in panels: what stands in the script, read back.
local core = require "secateur.core"
local files = require "secateur.util.files"
local needs = require "support.needs"
local report = require "secateur.report"
local temporary = require "support.temporary"

describe("report.scatter", function()
  local folder

  before_each(function() folder = temporary.folder() end)
  after_each(function() files.remove(folder) end)

  local function draw(panels, opts)
    local svg, png, pdf = report.scatter(panels, files.join(folder, "new/picks.png"), opts)
    assert.equal(files.join(folder, "new/picks.svg"), svg)
    assert.equal(files.join(folder, "new/picks.png"), png)
    assert.matches("^\137PNG", files.read_all(png))
    if pdf then assert.matches("^%%PDF", files.read_all(files.join(folder, "new/picks.pdf"))) end
    return files.read_all(files.join(folder, "new/picks.gp")), files.read_all(svg)
  end

  local cloud = core.tensor { { 0, 0 }, { 1, 2 }, { -1, 4 } }

  it("draws panels with one key, the same series alike in all", function()
    needs.gnuplot(pending)
    local script, svg = draw({
      { title = "margin", series = { { name = "a", points = { { 0, 0 } } }, { name = "b", points = { { 1, 2 } } } } },
      { title = "it's $random", series = { { name = "b", points = cloud:take(1, { 2, 3 }) } } },
      { background = { { 9, 9 } } },
    }, { background = cloud, background_name = "pool", x_label = "first", y_label = "second", columns = 2 })
    assert.matches("%$p1_0 << EOD\n0 0\n1 2\n%-1 4\nEOD", script)
    assert.matches("%$p1_1 << EOD\n0 0\nEOD", script)
    assert.matches("%$p2_1 << EOD\n1 2\n%-1 4\nEOD", script)
    assert.matches("%$p3_0 << EOD\n9 9\nEOD", script)
    local b = script:match "%$p1_2 using 1:2 with points (pt %d+ ps [%d.]+ lc rgb '#%x+')"
    assert.equal(b, script:match "%$p2_1 using 1:2 with points (pt %d+ ps [%d.]+ lc rgb '#%x+')")
    assert.not_equal(b, script:match "%$p1_1 using 1:2 with points (pt %d+ ps [%d.]+ lc rgb '#%x+')")
    -- one range for all: from -1 to 9, and a little room
    assert.matches("set xrange %[%-1%.6:9%.6%]\nset yrange %[%-0%.54:9%.54%]", script)
    for _, text in ipairs { "margin", "pool", "first", "second" } do assert.matches(">" .. text .. "<", svg) end
    local _, keys = svg:gsub(">pool<", "")
    assert.equal(1, keys)
  end)

  it("draws what has no extent, and panels without points", function()
    needs.gnuplot(pending)
    draw { { title = "none" } }
    draw { { series = { { name = "one", points = { { 3, 3 } } } } } }
  end)

  it("says what is wrong", function()
    local function wrong(message, panels, opts)
      assert.has_error(function() report.scatter(panels, files.join(folder, "x"), opts) end, message)
    end
    local function with(points) return { { series = { { name = "a", points = points } } } } end
    wrong("report.scatter: panels: expected a list of at least one panel, got a table", {})
    wrong("report.scatter: panels: expected a list of at least one panel, got nil", nil)
    wrong("report.scatter: panels[1]: unknown option 'titel', expected one of: background, series, title; did you mean "
      .. "'title'?", { { titel = "x" } })
    wrong("report.scatter: panels[1].series[1]: name: missing", { { series = { { points = {} } } } })
    wrong("report.scatter: panels[1].series[1].points[2]: expected a point { x, y } of finite numbers, got { 1 }",
      with { { 0, 0 }, { 1 } })
    wrong("report.scatter: panels[1].series[1].points[1]: expected a point { x, y } of finite numbers, got { inf, 1 }",
      with { { math.huge, 1 } })
    wrong("report.scatter: panels[1].series[1].points: expected a Tensor [n x 2], got [2x3]", with(core.ones(2, 3)))
    wrong("report.scatter: panels[1].series[1].points: expected a list of points { x, y } or a Tensor [n x 2], got 3",
      with(3))
    wrong("report.scatter: columns: expected a whole number in [1, 12], got 0", with {}, { columns = 0 })
    assert.is_false(files.is_file(files.join(folder, "x.svg")))
  end)
end)
