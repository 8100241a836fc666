"""Operations in parts on several chips: the graph rewritten, and how many parts pay."""

from partition.shards.rewrite import Sharded, shard, shardable

__all__ = ["Sharded", "shard", "shardable"]
