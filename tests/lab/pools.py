# SPDX-License-Identifier: MIT
"""Page pools, as the kernel tells of them (Documentation/netlink/specs/netdev.yaml, page-pool-get): who still holds
memory that a NIC's queue was given. As a program: those of its network namespace, as JSON."""
import json
import socket
import struct

NETLINK_GENERIC = 16
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
NETDEV_CMD_PAGE_POOL_GET = 5
NAMES = {1: "id", 2: "ifindex", 3: "napi", 4: "inflight", 5: "inflight_bytes", 6: "detached", 7: "dmabuf",
         8: "io_uring"}


def _attributes(data):
    while len(data) >= 4:
        length, kind = struct.unpack_from("HH", data)
        yield kind & 0x3fff, data[4:length]
        data = data[(length + 3) & ~3:]


def _ask(netlink, family, command, flags, attributes=b""):
    """The payload of each answer."""
    message = struct.pack("BBH", command, 1, 0) + attributes
    netlink.send(struct.pack("IHHII", 16 + len(message), family, NLM_F_REQUEST | flags, 1, 0) + message)
    while True:
        data = netlink.recv(65536)
        while data:
            length, kind = struct.unpack_from("IH", data)
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise OSError(-struct.unpack_from("i", data, 16)[0], "netlink refuses")
            yield data[20:length]
            data = data[(length + 3) & ~3:]
        if not flags & NLM_F_DUMP:
            return


def page_pools():
    """Those of this network namespace, a dict each; what is not told is not in it."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as netlink:
        name = b"netdev\0"
        wanted = struct.pack("HH", 4 + len(name), CTRL_ATTR_FAMILY_NAME) + name + b"\0"
        (answer,) = _ask(netlink, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 0, wanted)
        (family,) = struct.unpack("H", dict(_attributes(answer))[CTRL_ATTR_FAMILY_ID][:2])
        pools = []
        for answer in _ask(netlink, family, NETDEV_CMD_PAGE_POOL_GET, NLM_F_DUMP):
            pools.append({NAMES.get(kind, kind): int.from_bytes(value, "little")
                          for kind, value in _attributes(answer)})
        return pools


if __name__ == "__main__":
    print(json.dumps(page_pools()))
