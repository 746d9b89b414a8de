local progress = require "secateur.util.progress"

describe("util.progress", function()
  local now, written, out

  before_each(function()
    now, written = 100, {}
    out = {
      write = function(_, ...) for _, text in ipairs { ... } do written[#written + 1] = text end end,
      flush = function() end,
    }
  end)

  local function line(opts)
    local all = { terminal = true, out = out, width = 80, clock = function() return now end }
    for key, value in pairs(opts or {}) do all[key] = value end
    return progress.new(all)
  end

  local function text() return table.concat(written) end

  it("tells done, total, rate and time left", function()
    local bar = line { total = 200, label = "epoch 1/20", unit = "images" }
    now = now + 2
    bar:update(50, "loss 0.41")
    assert.equal("\repoch 1/20  50/200 images  25.0 images/s  0:06 left  loss 0.41\27[K", text())
  end)

  it("rewrites at most ten times a second", function()
    local bar = line { total = 1000 }
    for _ = 1, 1000 do
      now = now + 0.001
      bar:step()
    end
    local _, drawn = text():gsub("\r", "")
    assert.is_true(drawn >= 9 and drawn <= 11)
    assert.equal(1000, bar.done)
  end)

  it("ends with the last state, once", function()
    local bar = line { total = 2, unit = "runs" }
    bar:step()
    now = now + 4
    bar:step()
    written = {}
    bar:finish("done")
    bar:finish("again")
    bar:step()
    assert.equal("\r2/2 runs  0.50 runs/s  in 0:04  done\27[K\n", text())
  end)

  it("is silent where there is no terminal", function()
    local bar = line { terminal = false, total = 3 }
    bar:step()
    bar:clear()
    bar:finish()
    assert.equal("", text())
  end)

  it("writes whole lines into a log, one a minute, the first after a minute", function()
    local bar = line { terminal = false, log = true, total = 300, label = "sweep", unit = "rows" }
    for _ = 1, 240 do
      now = now + 1
      bar:step(1, "a note")
    end
    bar:clear()
    bar:finish()
    assert.equal("sweep  60/300 rows  1.00 rows/s  4:00 left  a note\n"
      .. "sweep  120/300 rows  1.00 rows/s  3:00 left  a note\n"
      .. "sweep  180/300 rows  1.00 rows/s  2:00 left  a note\n"
      .. "sweep  240/300 rows  1.00 rows/s  1:00 left  a note\n", text())
  end)

  it("writes nothing into a log of what takes less than a minute, nor of what goes wrong", function()
    local good = pcall(function()
      local bar <close> = line { terminal = false, log = true, total = 3 }
      now = now + 59
      bar:step()
      error("wrong")
    end)
    assert.is_false(good)
    assert.equal("", text())
  end)

  it("writes lines on a terminal as there, whether or not it was to log", function()
    local bar = line { terminal = true, log = true, total = 2 }
    now = now + 120
    bar:step()
    assert.equal("\r1/2  0.50/min  2:00 left\27[K", text())
  end)

  it("tells the time left by the work that things are, where they differ", function()
    local bar = line { total = 4, weight = 100 }
    now = now + 10
    bar:work(10)
    bar:update(3)
    assert.equal("\r3/4  0.30/s  1:30 left\27[K", text())
    written, now = {}, now + 1
    bar.weight_done = 0
    bar:update(3)
    assert.equal("\r3/4  0.27/s\27[K", text())
  end)

  it("tells the rate of what is slow by the minute or by the hour", function()
    for seconds, expected in pairs { [8] = "0.12 rows/s", [20] = "3.00 rows/min", [1200] = "3.00 rows/h" } do
      written = {}
      local bar = line { unit = "rows" }
      now = now + seconds
      bar:step()
      assert.equal("\r1 rows  " .. expected .. "\27[K", text())
    end
  end)

  it("has modes for an option", function()
    local function modes(...) return { progress.modes(...) } end
    assert.same({ true, false }, modes(nil, true))
    assert.same({ false, true }, modes(nil, false))
    assert.same({ true, false }, modes(true, false))
    assert.same({ false, false }, modes(false, false))
    assert.same({ false, false }, modes(false, true))
  end)

  it("never wraps, nor cuts a character in two", function()
    local bar = line { label = ("ä"):rep(30), width = 20 }
    bar:step()
    assert.equal("\r" .. ("ä"):rep(15) .. "…  1\27[K", text())
  end)

  it("shows what a terminal would obey, and looks at no more of a long label than it draws", function()
    local bar = line { label = "\27[31mx", width = 40 }
    bar:step(1, "\nnote")
    assert.equal("\r\\x1B[31mx  1  \\nnote\27[K", text())
    written = {}
    local words = line { label = ("word "):rep(20000), width = 20 }
    local steps = 0
    debug.sethook(function() steps = steps + 1 end, "", 1000)
    words:step()
    debug.sethook()
    assert.is_true(steps < 50)
    assert.equal("\rword word word…  1\27[K", text())
  end)

  it("never cuts a figure: words of the note go first, then the end of the label, then rate and time", function()
    local bar = line { total = 200, label = "epoch 1/20 of a long name", unit = "images" }
    now = now + 2
    bar:update(50, "loss 0.412 accuracy 0.913")
    local figures = "50/200 images  25.0 images/s  0:06 left"
    local whole = "epoch 1/20 of a long name  " .. figures .. "  loss 0.412 accuracy 0.913"
    for width = 1, 100 do
      local cut = bar:text(width)
      assert.is_true(utf8.len(cut) <= math.max(width, 13), cut)
      assert.matches("%f[%w]50/200 images%f[^%w]", cut)
      for figure in cut:gmatch "%d[%d.:/]*" do
        assert.is_true(whole:find("%f[%w]" .. figure:gsub("%p", "%%%0") .. "%f[^%w]") ~= nil, cut)
      end
      if width >= utf8.len(figures) then assert.matches(figures, cut, 1, true) end
    end
    assert.equal(whole, bar:text())
    assert.equal("epoch 1/20 of a long name  " .. figures .. "  loss…", bar:text(78))
    assert.equal("epoch 1/20…  " .. figures, bar:text(52))
    assert.equal("50/200 images  25.0 images/s", bar:text(30))
  end)

  it("gives way to other output", function()
    local bar = line()
    bar:clear()
    assert.equal("", text())
    bar:step()
    bar:clear()
    assert.equal("\r1\27[K\r\27[K", text())
    bar:step()
    assert.equal("\r1\27[K\r\27[K\r2\27[K", text())
  end)

  it("frees the line when the work fails", function()
    pcall(function()
      local bar <close> = line()
      bar:step()
      error("broken")
    end)
    assert.equal("\r1\27[K\n", text())
  end)

  it("formats durations", function()
    assert.equal("0:00", progress.duration(-1))
    assert.equal("0:07", progress.duration(7.4))
    assert.equal("12:05", progress.duration(725))
    assert.equal("3:02:11", progress.duration(3 * 3600 + 131))
  end)

  it("says what it was given wrongly", function()
    assert.has_error(function() progress.new {} end, "progress: terminal: missing")
    assert.has_error(function() progress.new { terminal = true, totl = 3 } end, "progress: unknown option 'totl', "
      .. "expected one of: clock, label, log, out, terminal, "
        .. "total, unit, weight, width; did you mean 'total'?")
  end)
end)
