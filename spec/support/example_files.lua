--- Small data sets and models of every kind that examples take, and the command lines that try them on each other.
local archives = require "support.archives"
local checkpoints = require "support.checkpoints"
local child = require "support.child"
local core = require "secateur.core"
local csv = require "secateur.util.csv"
local files = require "secateur.util.files"
local sc = require "secateur"

local example_files = {}

local CLASSES = { "effusion", "normal" }
local SIZE = 16

-- Phantoms as PNG, a folder per class; gives the rows of a table of them.
local function write_folder(root, channels)
  local data = sc.data.phantom { size = SIZE, channels = channels, count = 48, classes = CLASSES, seed = 3,
    splits = { train = 0.9, val = 0.05, test = 0.05 } }
  local rows = { { "file", "label", "split" } }
  for i, label in ipairs(data.train.labels) do
    local name = ("%s/%d.png"):format(CLASSES[label], i)
    assert(files.mkdir_p(files.join(root, CLASSES[label])))
    core.image_save(files.join(root, name), data.train:image(i))
    rows[#rows + 1] = { name, CLASSES[label], i % 4 == 0 and "test" or i % 5 == 0 and "val" or "train" }
  end
  return rows
end

local function write_npz(path, findings)
  local arrays = {}
  for name, count in pairs { train = 24, val = 8, test = 8 } do
    local images, labels = { shape = { count, SIZE, SIZE } }, { shape = { count, findings } }
    for i = 1, count * SIZE * SIZE do images[i] = (i * 7919 + i // 256 * 31) % 251 end
    for i = 1, count * findings do labels[i] = i * i % 7 % 2 end
    arrays[name .. "_images"], arrays[name .. "_labels"] = images, labels
  end
  archives.write(path, arrays)
end

-- As torch.save writes a model's state: {state_dict = {prefix .. name = tensor}} where there is a key.
local function write_pth(path, state, prefix, key)
  local p, body, storages, count = checkpoints.p, {}, {}, 0
  for name, tensor in pairs(state) do
    local at = tostring(count)
    count = count + 1
    storages[at] = checkpoints.floats(table.unpack(tensor:reshape(tensor:numel()):totable()))
    body[#body + 1] = p.str(prefix .. name) .. p.tensor { key = at, shape = tensor:shape() }
  end
  local dictionary = p.dict(table.concat(body))
  if key then dictionary = p.dict(p.str "epoch", p.int(3), p.str(key), dictionary) end
  assert(files.write_all(path, checkpoints.zip(dictionary, storages)))
end

local function network(channels, outputs)
  return sc.models.vgg { config = { 8, "M", 16, "M" }, hidden = { 16 }, pool = 2, batch_norm = true, size = SIZE,
    channels = channels, classes = outputs or 2, seed = 3 }
end

--- Writes them all below a folder: data `folder`, `grey`, `table/images.csv`, `tiny.npz`, `findings.npz` (three each);
-- models `saved.safetensors` (of model:save, trained on `folder`), `grey.safetensors` (the same with one channel),
-- `state.safetensors` and `state.pth` (weights alone), `one.pth` (with one logit), `inside.pth` (behind the key
-- "weights" and the prefix "backbone.").
-- @string root
function example_files.write(root)
  write_folder(root .. "/folder", 3)
  write_folder(root .. "/grey", 1)
  assert(csv.write(root .. "/table/images.csv", write_folder(root .. "/table", 3)))
  write_npz(root .. "/tiny.npz", 1)
  write_npz(root .. "/findings.npz", 3)
  for name, channels in pairs { folder = 3, grey = 1 } do
    local model = network(channels)
    sc.train(model, sc.data.folder(files.join(root, name), { size = SIZE, channels = channels }),
      { epochs = 1, quiet = true })
    model:save(("%s/%s.safetensors"):format(root, name == "grey" and name or "saved"))
  end
  local model = network(3)
  model:export_state(root .. "/state.safetensors")
  write_pth(root .. "/state.pth", model:state(), "")
  write_pth(root .. "/one.pth", network(3, 1):state(), "")
  write_pth(root .. "/inside.pth", model:state(), "backbone.", "weights")
end

--- Runs an example.
-- @string root the folder that `@` stands for
-- @string line its name and arguments, separated by spaces
-- @treturn string what it wrote, to either stream
-- @treturn int its exit status
function example_files.run(root, line)
  local name, arguments = line:gsub("@", root):match "^(%S+) ?(.*)$"
  local pipe = assert(io.popen(("{ ( %s %s ) 2>&1 < /dev/null ; echo \" status $?\" ; }"):format(
    child.command("examples/" .. name), arguments)))
  local text, status = pipe:read("a"):match "^(.*) status (%d+)\n$"
  pipe:close()
  return text, math.tointeger(tonumber(status))
end

return example_files
