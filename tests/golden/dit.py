"""The numbers of dit.cpp: a tiny DiT-DH in numpy, after the published description. Prints mean, root mean square and first elements of each stage."""
import numpy as np, math
D,DH,C,G,depth,hdepth,heads,hheads,classes,F=32,48,12,4,2,2,2,2,5,256
N=G*G
def names():
    L=[('pos_embed',(1,N,D))]
    L+= [('x_embedder.proj.weight',(DH,C,1,1)),('x_embedder.proj.bias',(DH,)),('s_embedder.proj.weight',(D,C,1,1)),('s_embedder.proj.bias',(D,)),('s_projector.weight',(DH,D)),('s_projector.bias',(DH,)),
         ('t_embedder.W',(F,)),('t_embedder.mlp.0.weight',(D,2*F)),('t_embedder.mlp.0.bias',(D,)),('t_embedder.mlp.2.weight',(D,D)),('t_embedder.mlp.2.bias',(D,)),('y_embedder.embedding_table.weight',(classes+1,D))]
    for i in range(depth+hdepth):
        w=D if i<depth else DH; h=int(2*4*w/3)
        b=f'blocks.{i}.'
        L+=[(b+'norm1.weight',(w,)),(b+'attn.qkv.weight',(3*w,w)),(b+'attn.qkv.bias',(3*w,)),(b+'attn.proj.weight',(w,w)),(b+'attn.proj.bias',(w,)),(b+'norm2.weight',(w,)),
            (b+'mlp.w12.weight',(2*h,w)),(b+'mlp.w12.bias',(2*h,)),(b+'mlp.w3.weight',(w,h)),(b+'mlp.w3.bias',(w,)),(b+'adaLN_modulation.1.weight',(6*w,w)),(b+'adaLN_modulation.1.bias',(6*w,))]
    L+=[('final_layer.norm_final.weight',(DH,)),('final_layer.linear.weight',(C,DH)),('final_layer.linear.bias',(C,)),('final_layer.adaLN_modulation.1.weight',(2*DH,DH)),('final_layer.adaLN_modulation.1.bias',(2*DH,))]
    return L
def sincos(n,d):
    out=np.zeros((n*n,d)); q=d//4
    w=10000.0**(-np.arange(q)/q)
    for t in range(n*n):
        r,c=divmod(t,n)
        out[t]=np.concatenate([np.sin(c*w),np.cos(c*w),np.sin(r*w),np.cos(r*w)])
    return out
P={}
for k,(n,s) in enumerate(names()):
    if n=='pos_embed': P[n]=sincos(G,D)[None]; continue
    m=int(np.prod(s)); v=0.15*np.sin(0.37*np.arange(m)+1.3*k+0.5)
    v=v.astype(np.float32).astype(np.float64)
    if 'norm' in n: v=1+v
    P[n]=v.reshape(s)
lin=lambda x,n:x@P[n+'.weight'].reshape(P[n+'.weight'].shape[0],-1).T+P[n+'.bias']
silu=lambda x:x/(1+np.exp(-x))
rms=lambda x,n:x/np.sqrt((x*x).mean(-1,keepdims=True)+1e-6)*P[n+'.weight']
def rope(x): # B,H,N,d
    d=x.shape[-1]; half=d//2
    th=10000.0**(-2*np.arange(half//2)/half)
    pos=np.arange(N); r,c=pos//G,pos%G
    ang=np.concatenate([np.repeat(r[:,None]*th,2,1),np.repeat(c[:,None]*th,2,1)],1)
    rot=np.empty_like(x); rot[...,0::2]=-x[...,1::2]; rot[...,1::2]=x[...,0::2]
    return x*np.cos(ang)+rot*np.sin(ang)
def attn(x,n,H):
    B,T,W=x.shape; q,k,v=np.split(lin(x,n+'.qkv'),3,-1)
    sp=lambda a:a.reshape(B,T,H,W//H).transpose(0,2,1,3)
    q,k,v=rope(sp(q)),rope(sp(k)),sp(v)
    s=q@k.transpose(0,1,3,2)/math.sqrt(W//H); s=np.exp(s-s.max(-1,keepdims=True)); s/=s.sum(-1,keepdims=True)
    return lin((s@v).transpose(0,2,1,3).reshape(B,T,W),n+'.proj')
def mlp(x,n):
    a,b=np.split(lin(x,n+'.w12'),2,-1); return lin(silu(a)*b,n+'.w3')
def block(x,c,i,H):
    b=f'blocks.{i}.'
    if c.ndim==2: c=c[:,None]
    sa,ca,ga,sm,cm,gm=np.split(lin(silu(c),b+'adaLN_modulation.1'),6,-1)
    x=x+ga*attn(rms(x,b+'norm1')*(1+ca)+sa,b+'attn',H)
    return x+gm*mlp(rms(x,b+'norm2')*(1+cm)+sm,b+'mlp')
def run(z,t,y):
    e=2*np.pi*t[:,None]*P['t_embedder.W'][None]
    tt=np.concatenate([np.sin(e),np.cos(e)],1); tt=lin(silu(lin(tt,'t_embedder.mlp.0')),'t_embedder.mlp.2')
    c=silu(tt+P['y_embedder.embedding_table.weight'][y])
    s=lin(z,'s_embedder.proj')+P['pos_embed']
    st={'time':tt,'embedded':s}
    for i in range(depth): s=block(s,c,i,heads); st[f'block {i}']=s
    s=silu(tt[:,None]+s); s=lin(s,'s_projector'); st['projected']=s
    h=lin(z,'x_embedder.proj')
    for i in range(hdepth): h=block(h,s,depth+i,hheads); st[f'head block {i}']=h
    a,b=np.split(lin(silu(s),'final_layer.adaLN_modulation.1'),2,-1)
    out=lin(rms(h,'final_layer.norm_final')*(1+b)+a,'final_layer.linear'); st['output']=out
    return out,st
z=np.sin(0.13*np.arange(2*N*C)+0.7).astype(np.float32).astype(np.float64).reshape(2,N,C)
out,st=run(z,np.array([0.3,0.85]),np.array([1,5]))
for k,v in st.items(): print(k,'%.6f'%v.mean(),'%.6f'%np.sqrt((v*v).mean()),['%.6f'%q for q in v.reshape(-1)[:4]])
print('places',['%.6f'%out[i,j,k] for i,j,k in [(0,0,0),(0,15,11),(1,0,0),(1,7,5),(1,15,11)]])
