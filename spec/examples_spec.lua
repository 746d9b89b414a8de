-- Examples that are short of seconds run whole, the others say what they take.
local child = require "support.child"
local core = require "secateur.core"
local files = require "secateur.util.files"
local sc = require "secateur"
local temporary = require "support.temporary"

-- What a script says, and whether it succeeded.
local function run(script, arguments)
  local quoted = {}
  for i, argument in ipairs(arguments) do quoted[i] = "'" .. argument .. "'" end
  local pipe = assert(io.popen(("{ %s %s ; } 2>&1"):format(child.command("examples/" .. script),
    table.concat(quoted, " "))))
  local text = pipe:read "a"
  return text, pipe:close() or false
end

describe("examples", function()
  it("answer --help", function()
    for _, name in ipairs(files.list "examples") do
      if name:find "%.lua$" then
        local text, good = run(name, { "--help" })
        assert.is_true(good, text)
        assert.matches("^Usage: " .. name:gsub("%p", "%%%0"), text)
      end
    end
  end)

  it("make a model smaller, and say what it was and is", function()
    local folder = temporary.folder()
    finally(function() files.remove(folder) end)
    local data = sc.data.phantom { size = 16, count = 60, classes = { "effusion", "normal" }, seed = 3 }
    for i, label in ipairs(data.train.labels) do
      local class = files.join(folder, "images", data.classes[label])
      assert(files.mkdir_p(class))
      core.image_save(files.join(class, i .. ".png"), data.train:image(i))
    end
    local model = sc.models.vgg { config = { 8, "M", 16, "M" }, hidden = { 16 }, pool = 2, batch_norm = true, size = 16,
      channels = data.channels, classes = 2, seed = 3 }
    local before = files.join(folder, "model.safetensors")
    model:save(before)
    local out = files.join(folder, "small")
    local text, good = run("smaller.lua", { before, "--data", files.join(folder, "images"), "--rate", "0.6",
      "--calibration", "24", "--out", out })
    assert.is_true(good, text)
    assert.matches("before +after +share", text)
    assert.matches("%% of the %d+ test images are decided as before", text)
    local small = sc.load(out .. ".safetensors")
    local cost, dense = sc.cost(small, { latency = false }), sc.cost(model, { latency = false })
    assert.is_true(cost.macs < dense.macs and cost.parameters < dense.parameters and cost.bytes < dense.bytes)
    assert.is_true(files.is_file(out .. ".onnx"))
    text, good = run("smaller.lua", { before, "--data", files.join(folder, "images"), "--macs", "0.5", "--repair",
      "none", "--out", out })
    assert.is_true(good, text)
    assert.is_true(sc.cost(sc.load(out .. ".safetensors"), { latency = false }).macs <= 0.5 * dense.macs)
  end)
end)
