local child = require "support.child"
local errors = require "support.errors"
local sc = require "secateur"

-- Exit status, and what was written to either stream.
local function run(body)
  local output = child.run(("local sc = require 'secateur'\nsc.main(function(...) %s end)"):format(body),
    "( %s ); echo \" status $?\"")
  local text, status = output:match "^(.*) status (%d+)\n$"
  return math.tointeger(tonumber(status)), text
end

describe("main", function()
  it("gives what its body gives", function()
    assert.same({ 3, 4 }, { sc.main(function(a, b) return a + 1, b + 1 end, 2, 3) })
  end)

  it("ends with a line where the package refuses something", function()
    for body, message in pairs {
      ["sc.data.folder '/none'"] = "folder: root: expected a folder, got '/none' %(there is none%)",
      ["sc.prune(3)"] = "prune: model: expected a Model, got 3",
      ["sc.tensor { 1, 2 }:reshape(3)"] = "reshape: .*", -- of the core
      ["local m = sc.load '/none'"] = "load: '/none': No such file or directory",
    } do
      local status, text = run(body)
      assert.equal(1, status)
      assert.matches("^%S+:2: " .. message .. "\n$", text)
    end
  end)

  it("shows what a terminal would obey", function()
    local status, text = run "error '\27[31mmine'"
    assert.equal(1, status)
    assert.matches("^%S+:2: \\x1B%[31mmine\nstack traceback:\n\t", text)
  end)

  it("ends with a traceback where the script is at fault", function()
    for body, message in pairs {
      ["local x; return x.y"] = "attempt to index a nil value",
      ["error 'mine'"] = "mine",
    } do
      local status, text = run(body)
      assert.equal(1, status)
      assert.matches("^%S+:2: " .. message .. ".*\nstack traceback:\n", text)
    end
  end)

  it("ends with 130 on Ctrl-C", function()
    local status, text = run [[local process = io.open("/proc/self/stat"):read "n"
      io.popen("kill -INT " .. process):close()
      while true do end]]
    assert.equal(130, status)
    assert.matches("^interrupted\n$", text)
  end)

  it("takes a function", function()
    assert.equal("main: body: expected a function, got nil", errors.text(sc.main))
  end)
end)
