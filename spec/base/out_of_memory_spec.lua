-- Memory that runs out in the middle of things: each step of a pipeline (spec/support/pressure_steps.lua) in a process
-- of its own, in which allocations fail one after another. SECATEUR_PRESSURE=all fails every one of them, and more in a
-- row; otherwise a few of each step.
local child = require "support.child"
local needs = require "support.needs"

local whole = os.getenv "SECATEUR_PRESSURE" == "all"
local modes = whole and { "one", "two", "four", "all" } or { "one", "all" }
local most = whole and math.maxinteger or 6

local names = { "model", "forward", "load", "save", "safetensors", "image_save", "npz", "export", "checkpoint",
  "data", "csv", "image images/colour.jpg", "image images/colour16.png", "image clinic/lossy.webp",
  "image clinic/ct_rle.dcm", "image clinic/ct_jpeg_ls.dcm", "lrp", "dlb", "ig", "evaluate", "predict",
  "sample clustering", "sample confidence", "sample random", "importance", "prune", "repair", "compact",
  "train", "train in pieces", "train over ranks", "resume", "sweep", "report", "heatmaps" }

local script = [[
  local pressure = require "support.pressure"
  local function tell(complaint) print("complaint: " .. complaint) end
  local names, count = {}, 0
  for name in (%q):gmatch "[^,]+" do
    for mode in (%q):gmatch "%%a+" do
      local found = pressure.run(name, mode, %d, tell)
      print(("%%s, %%s: %%d allocations, %%d injections, %%d errors, %%d right"):format(found.name, found.mode,
        found.allocations, found.injections, found.errors, found.right))
      count = count + found.injections
    end
  end
  print("injections: " .. count)
]]

describe("memory that runs out", function()
  local library = package.searchpath("spec.failing_malloc", package.cpath)

  for _, name in ipairs(names) do
    it("gives an error or the right result: " .. name, function()
      needs.proc(pending)
      needs.memory_limits(pending)
      needs.glibc(pending)
      if name == "report" or name == "heatmaps" then needs.gnuplot(pending) end
      local places = name == "report" and math.min(most, 100) or most -- each draws figures, which takes a second
      local good, output = child.try(script:format(name, table.concat(modes, " "), places),
        ("export LD_PRELOAD='%s' OMP_NUM_THREADS=2; %%s 2>/dev/null"):format(library))
      if whole then io.stdout:write("\n", output) end
      assert(good, ("%s: the process ended:\n%s"):format(name, output))
      assert.is_nil(output:match "complaint: [^\n]*")
      local count = tonumber(output:match "injections: (%d+)\n$")
      if count == 0 then pending "built without this decoder" end
      assert.is_true(count > 2)
    end)
  end
end)
