-- Options that stand behind a path.
local errors = require "support.errors"
local files = require "secateur.util.files"
local path_options = require "secateur.util.path_options"
local temporary = require "support.temporary"

local kinds = { classes = "list", count = "counted", only = "names" }

local function take(text) return { path_options.take(text, kinds) } end

describe("options behind a path", function()
  it("are booleans, numbers, lists of numbers, names and texts", function()
    assert.same({ "a.pth", {} }, take "a.pth")
    assert.same({ "a.pth", { quiet = true, pool = false, heads = 3, eps = 1e-5, mean = { 0.5, 0.25 },
      range = { 0, 4095 } } }, take "a.pth?quiet=true&pool=false&heads=3&eps=1e-5&mean=0.5,0.25&range=0,4095")
    assert.same({ "d/x", { classes = { "1" }, only = "a*", count = 3, key = "a,1", label = "b c" } },
      take "d/x?classes=1&only=a*&count=3&key=a,1&label=b c")
    assert.same({ "d/x", { classes = { "1", "b" }, only = { "a", "b" }, count = { "p", "q" } } },
      take "d/x?classes=1,b&only=a,b&count=p,q")
    assert.equal("integer", math.type(take("x?heads=3")[2].heads))
  end)

  it("are none where a file is called so, or where there is no option", function()
    local root = temporary.folder()
    local name = files.join(root, "what?a=b")
    assert(files.write_all(name, "x"))
    assert.same({ name, {} }, take(name))
    assert.same({ "why?", {} }, take "why?")
    files.remove(root)
  end)

  it("that are no key=value are refused", function()
    assert.matches("path: expected options as key=value with & between them, got 'y'",
      errors.text(path_options.take, "x?a=1&y", {}), 1, true)
  end)

  it("count before those of the program", function()
    assert.same({ size = 8, seed = 1 }, path_options.merge({ size = 8 }, { size = 16, seed = 1 }))
    assert.equal(3, path_options.merge({ size = 8 }, 3)) -- no options, which others refuse
    assert.is_nil(path_options.merge({}, nil))
  end)
end)
