-- Ends the connections of an API server that has been down for two seconds, while another
-- one is up and has been so for two. One check that is late sends new connections
-- elsewhere, and that is all: on-marked-down would cut those that are open, and those that
-- are still being made and would go to another server by themselves. Where all API
-- servers are overloaded all come and go, and cutting would add to their load.
local backend, dead_after, steady_after = "kube-apiserver", 2000, 2

local down_since = {} -- in milliseconds, by name

local function dead(servers, now)
	local steady, found = false, {}
	for name, server in pairs(servers) do
		local s = server:get_stats()
		if s.bck ~= 0 or not s.status:find("^DOWN") then
			down_since[name] = nil
			steady = steady or s.bck == 0 and s.status:find("^UP") and s.lastchg >= steady_after
		else
			down_since[name] = down_since[name] or now
			if now - down_since[name] >= dead_after then table.insert(found, server) end
		end
	end
	return steady and found or {}
end

core.register_task(function()
	while true do
		core.msleep(100)
		local t = core.now()
		for _, server in ipairs(dead(core.backends[backend].servers, t.sec * 1000 + t.usec // 1000)) do
			server:shut_sess()
		end
	end
end)
