-- The paper's grid by two processes: as one gives it, each model trained once, all that is written written once.
local archives = require "support.archives"
local files = require "secateur.util.files"
local mpirun = require "support.mpirun"
local rank_sweep = require "support.rank_sweep"
local temporary = require "support.temporary"

local function write_npz(path)
  local arrays = {}
  for name, count in pairs { train = 24, val = 8, test = 8 } do
    local images, labels = { shape = { count, 16, 16 } }, { shape = { count, 1 } }
    for i = 1, count * 256 do images[i] = (i * 7919 + i // 256 * 31) % 251 end
    for i = 1, count do labels[i] = i * i % 7 % 2 end
    arrays[name .. "_images"], arrays[name .. "_labels"] = images, labels
  end
  archives.write(path, arrays)
end

describe("paper_table.lua", function()
  local root
  before_each(function()
    root = temporary.folder()
    write_npz(files.join(root, "tiny.npz"))
  end)
  after_each(function() assert(files.remove(root)) end)

  local function run(ranks)
    local words = ("--data X=@/tiny.npz --model small_vgg --model small_vit --epochs 1 --rates 0,0.3 --methods lrp "
      .. "--per-class 2 --store @/%d.db --models-dir @/models%d --out @/report%d"):format(ranks, ranks, ranks)
    local list = {}
    for word in words:gsub("@", root):gmatch "%S+" do list[#list + 1] = ("%q"):format(word) end
    return mpirun.run("openmpi", ranks, ("arg = { [0] = 'paper_table.lua', %s } dofile 'examples/paper_table.lua'")
      :format(table.concat(list, ", ")), { env = "OMP_NUM_THREADS=1" })
  end

  it("is shared by two processes", function()
    mpirun.need(pending, "openmpi")
    local status, output = run(2)
    assert.equal(0, status, output)
    local _, opened = output:gsub("\nOpen [^\n]+", "")
    assert.equal(1, opened, output)
    local _, trained = output:gsub("epoch 1/1 [^\n]+", "")
    assert.equal(2, trained, output)
    assert.equal(2, #files.list(files.join(root, "models2")))
    local page = assert(files.read_all(files.join(root, "report2/index.html")))
    for _, title in ipairs { "X, small_vgg", "X, small_vit" } do assert.is_truthy(page:find(title, 1, true)) end
    assert.equal(0, (run(1)))
    local one, two = rank_sweep.contents(files.join(root, "1.db")), rank_sweep.contents(files.join(root, "2.db"))
    assert.is_truthy(next(one.row))
    assert.same(one, two)
  end)
end)
