"""Prints the bytes that src/training/tensorboard.test.ts expects: TFRecords of Event messages, written by hand."""
import struct
def crc32c(b):
    c=0xffffffff
    for x in b:
        c^=x
        for _ in range(8): c=(c>>1)^(0x82F63B78 if c&1 else 0)
    return c^0xffffffff
assert crc32c(b'123456789')==0xE3069283
def masked(b):
    c=crc32c(b); return (((c>>15)|(c<<17))+0xa282ead8)&0xffffffff
def rec(d):
    l=struct.pack('<Q',len(d)); return l+struct.pack('<I',masked(l))+d+struct.pack('<I',masked(d))
def vi(n):
    o=b''
    while True:
        b=n&127; n>>=7
        if n: o+=bytes([b|128])
        else: return o+bytes([b])
def V(f,n): return vi(f<<3)+vi(n)
def B(f,b): return vi(f<<3|2)+vi(len(b))+b
def F(f,x): return vi(f<<3|5)+struct.pack('<f',x)
def D(f,x): return vi(f<<3|1)+struct.pack('<d',x)
def ev(t,s,c): return rec(D(1,t)+V(2,s)+c)
t=1700000000.25
png=bytes(range(1,201))
out=ev(t,0,B(3,b'brain.Event:2'))
out+=ev(t,301,B(7,V(1,1)))
out+=ev(t,5_000_000_000,B(5,B(1,B(1,b'step/loss')+F(2,0.1))+B(1,B(1,'preview/größe'.encode())+F(2,-3.5))))
out+=ev(t,301,B(5,B(1,B(1,b'preview')+B(4,V(1,20)+V(2,300)+V(3,3)+B(4,png)))))
print(out.hex())
