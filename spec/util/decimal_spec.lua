local csv = require "secateur.util.csv"
local core = require "secateur.core"
local decimal = require "secateur.util.decimal"
local errors = require "support.errors"
local fingerprint = require "secateur.util.fingerprint"
local gnuplot = require "secateur.report.gnuplot"
local json = require "secateur.util.json"
local line_plots = require "secateur.report.line_plots"

-- Calls f as it would run in a process with this decimal separator.
local function with_separator(separator, f)
  local format = string.format
  finally(function() string.format = format end) -- luacheck: ignore 122
  string.format = function(pattern, ...) -- luacheck: ignore 122
    local arguments = table.pack(...)
    return (pattern:gsub("%%[-%d.]*[%a%%]", function(item)
      if item == "%%" then return "%" end
      local value = table.remove(arguments, 1)
      local text = format(item, value)
      return item:find "[efg]$" and text:gsub("%.", separator) or text
    end))
  end
  local values = table.pack(f())
  string.format = format -- luacheck: ignore 122
  return table.unpack(values, 1, values.n)
end

describe("numbers that programs read", function()
  it("have a point whatever the locale", function()
    for _, separator in ipairs { ".", ",", "\u{66B}" } do
      with_separator(separator, function()
        assert.equal("0" .. separator .. "5", ("%g"):format(0.5)) -- the stand-in works
        for value, text in pairs { [0.5] = "0.5", [-1e-9] = "-1e-09", [1e300] = "1e+300", [3] = "3",
          [1.25e-7] = "1.25e-07", [1 / 0] = "inf" } do
          assert.equal(text, decimal("%.9g", value))
        end
        assert.equal("-0.125", decimal("%.3f", -0.125))
      end)
    end
  end)

  it("are the same in files of every kind", function()
    local tensor = core.tensor { 0.5, 1 / 3, 1e-9 }
    local function texts()
      return json.encode { 0.5, { a = -1e-9 }, 1 / 3 }, csv.encode({ { 0.5, 1 / 3 }, { "0,5", 1e-300 } }),
        fingerprint.of { t = tensor }, line_plots.number(1 / 3), gnuplot.print_terminals(641, 480, 1.5, 9.5)
    end
    local plain = table.pack(texts())
    assert.same(plain, table.pack(with_separator(",", texts)))
    assert.equal('[0.5,{"a":-1e-09},0.33333333333333331]', plain[1])
  end)

  it("are the same in a locale with a comma", function()
    local before = os.setlocale()
    finally(function() os.setlocale(before) end)
    local found
    for _, name in ipairs { "de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "fr_FR.utf8" } do
      found = found or os.setlocale(name)
    end
    if not found then pending "no locale with a decimal comma is installed here" end
    assert.equal("0,5", ("%g"):format(0.5))
    assert.equal("[0.5,1e-09]", json.encode { 0.5, 1e-9 })
    assert.same({ 0.5, 0.25 }, json.decode "[0.5,2.5e-1]")
    assert.equal("0.5,0.25\n", csv.encode { { 0.5, 0.25 } })
    -- Lua reads no such numbers of more than 200 digits there.
    local message = errors.raised(function() json.decode("[0." .. ("1"):rep(300) .. "]") end)
    assert.equal("json: unreadable number at byte 2", message)
  end)
end)
